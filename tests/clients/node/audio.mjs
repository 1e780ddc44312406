// The openai package from npm, unmodified: speech, recordings and films. test_openai_node_audio.py starts the gate and this.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import OpenAI from 'openai';

const client = new OpenAI();
const TEXT = 'Hello there. How are you?';
const film = { model: 'sora-2', prompt: 'a fox', size: '64x48', seconds: '1' };
const recording = async () => OpenAI.toFile(await readFile(process.env.ALDGATE_RECORDING), 'said.wav');
const heard = async (wanted) => client.audio.transcriptions.create({ model: 'whisper-1', file: await recording(), ...wanted });

async function finished(video) {
  while (['queued', 'in_progress'].includes(video.status)) video = await client.videos.retrieve(video.id);
  return video;
}

for (const [format, begins] of [['mp3', ''], ['flac', 'fLaC'], ['opus', 'OggS'], ['wav', 'RIFF']]) {
  test(`speech as ${format}`, async () => {
    const said = { model: 'tts-1', voice: 'alloy', input: 'hello there', response_format: format };
    const sound = Buffer.from(await (await client.audio.speech.create(said)).arrayBuffer());
    assert.ok(sound.length > 500 && sound.subarray(0, begins.length).toString() === begins);
    const pieces = [];
    for await (const piece of (await client.audio.speech.create({ ...said, stream_format: 'audio' })).body) pieces.push(piece);
    assert.deepEqual(Buffer.concat(pieces), sound);
  });
}

test('recordings in every format', async () => {
  const plain = await heard({});
  assert.deepEqual(plain, { text: TEXT, usage: { type: 'duration', seconds: 3.25 } });
  assert.equal(await heard({ response_format: 'text' }), `${TEXT}\n`);
  assert.match(await heard({ response_format: 'srt' }), /^1\n00:00:00,000 --> 00:00:01,500\nHello there\.\n/);
  assert.match(await heard({ response_format: 'vtt' }), /^WEBVTT\n\n00:00:00\.000 --> /);
  const verbose = await heard({ response_format: 'verbose_json', timestamp_granularities: ['segment', 'word'] });
  assert.deepEqual([verbose.duration, verbose.segments.length, verbose.words], [3.25, 2, []]);
  const english = await client.audio.translations.create({ model: 'whisper-1', file: await recording() });
  assert.equal(english.text, TEXT);
});

test('a recording as it is heard', async () => {
  const events = [];
  for await (const event of await heard({ stream: true })) events.push(event);
  assert.equal(events.slice(0, -1).map((event) => event.delta).join(''), TEXT);
  assert.deepEqual([events.at(-1).type, events.at(-1).text], ['transcript.text.done', TEXT]);
});

test('a file that is no recording', async () => {
  const file = await OpenAI.toFile(Buffer.from('a text'), 'said.wav');
  const asked = client.audio.transcriptions.create({ model: 'whisper-1', file });
  await assert.rejects(asked, (error) => error instanceof OpenAI.BadRequestError && error.param === 'file');
});

test('a film from its making to its end', async () => {
  const made = await finished(await client.videos.create(film));
  assert.deepEqual([made.object, made.status, made.progress, made.size, made.seconds], ['video', 'completed', 100, '64x48', '1']);
  const content = Buffer.from(await (await client.videos.downloadContent(made.id)).arrayBuffer());
  assert.equal(content.subarray(4, 8).toString(), 'ftyp');
  const sheet = await client.videos.downloadContent(made.id, { variant: 'spritesheet' });
  assert.equal(sheet.headers.get('content-type'), 'image/jpeg');
  const remix = await finished(await client.videos.remix(made.id, { prompt: 'a hen' }));
  assert.equal(remix.remixed_from_video_id, made.id);
  const listed = [];
  for await (const video of client.videos.list({ limit: 1 })) listed.push(video.id);
  assert.deepEqual(listed, [remix.id, made.id]);
  for (const id of listed) assert.deepEqual(await client.videos.delete(id), { id, object: 'video.deleted', deleted: true });
  await assert.rejects(client.videos.retrieve(made.id), OpenAI.NotFoundError);
});

test('a film with a picture to begin with', async () => {
  const drawn = await client.images.generate({ model: 'builtin/svg', prompt: 'a fox', size: '64x48', response_format: 'b64_json' });
  const picture = await OpenAI.toFile(Buffer.from(drawn.data[0].b64_json, 'base64'), 'fox.png', { type: 'image/png' });
  const made = await finished(await client.videos.create({ ...film, input_reference: picture }));
  assert.equal(made.status, 'completed');
});
