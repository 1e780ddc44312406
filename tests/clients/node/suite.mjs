// The openai package from npm, unmodified but for OPENAI_BASE_URL and OPENAI_API_KEY, against a running gate.
// ALDGATE_KEYS holds further keys by what is special about them, as JSON. test_openai_node.py starts the gate and this.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import OpenAI from 'openai';

const ECHO = 'builtin/echo';
const LAB = 'lab/gpt-4.1';
const SAID = { [ECHO]: 'Hello there, gate!', [LAB]: 'Hello from the fake upstream.' };
const TOKENS = { [ECHO]: [3, 3], [LAB]: [10, 5] };
const messages = [{ role: 'user', content: 'Hello there, gate!' }];
const weather = {
  type: 'function',
  function: {
    name: 'weather',
    parameters: {
      type: 'object',
      properties: { city: { type: 'string' }, days: { type: 'integer', minimum: 1 } },
      required: ['city', 'days'],
    },
  },
};
const keys = JSON.parse(process.env.ALDGATE_KEYS);
const client = new OpenAI();
const withKey = (name, options) => new OpenAI({ apiKey: keys[name], ...options });

async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

const textOf = (chunks, index = 0) =>
  chunks
    .flatMap((chunk) => chunk.choices)
    .filter((choice) => choice.index === index)
    .map((choice) => choice.delta?.content ?? choice.text ?? '')
    .join('');

async function failure(promise, kind, status, code) {
  const error = await promise.then(
    () => assert.fail('nothing was thrown'),
    (thrown) => thrown,
  );
  assert.ok(error instanceof kind, `${error.constructor.name}: ${error.message}`);
  assert.deepEqual([error.status, error.code], [status, code]);
  if (status) assert.match(error.requestID, /^req-/);
  return error;
}

describe('answers', () => {
  for (const model of [ECHO, LAB]) {
    test(`a chat, whole: ${model}`, async () => {
      const { data, response, request_id } = await client.chat.completions.create({ model, messages }).withResponse();
      assert.equal(data.choices[0].message.content, SAID[model]);
      assert.equal(data.choices[0].finish_reason, 'stop');
      assert.deepEqual([data.usage.prompt_tokens, data.usage.completion_tokens], TOKENS[model]);
      assert.match(request_id, /^req-/);
      assert.equal(response.headers.get('x-request-id'), request_id);
    });

    test(`a chat, streamed: ${model}`, async () => {
      const chunks = await all(await client.chat.completions.create({ model, messages, stream: true }));
      assert.equal(textOf(chunks), SAID[model]);
      assert.equal(chunks[0].choices[0].delta.role, 'assistant');
      assert.equal(chunks.at(-1).choices[0].finish_reason, 'stop');
      assert.ok(chunks.every((chunk) => chunk.choices.length === 1 && !chunk.usage));
    });

    test(`usage of a stream: ${model}`, async () => {
      const chunks = await all(
        await client.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } }),
      );
      const { choices, usage } = chunks.at(-1);
      assert.deepEqual(choices, []);
      assert.deepEqual([usage.prompt_tokens, usage.completion_tokens], TOKENS[model]);
    });

    test(`the stream helper: ${model}`, async () => {
      const stream = client.chat.completions.stream({ model, messages, stream_options: { include_usage: true } });
      let text = '';
      stream.on('content', (delta) => (text += delta));
      const final = await stream.finalChatCompletion();
      assert.equal(text, SAID[model]);
      assert.equal(final.choices[0].message.content, SAID[model]);
      assert.equal(final.usage.completion_tokens, TOKENS[model][1]);
    });

    test(`several choices, and a cap: ${model}`, async () => {
      const chunks = await all(await client.chat.completions.create({ model, messages, n: 3, stream: true }));
      assert.deepEqual([0, 1, 2].map((index) => textOf(chunks, index)), Array(3).fill(SAID[model]));
      const cut = await client.chat.completions.create({ model, messages, max_completion_tokens: 2 });
      assert.deepEqual([cut.choices[0].finish_reason, cut.usage.completion_tokens], ['length', 2]);
    });

    test(`legacy completions: ${model}`, async () => {
      const asked = { model, prompt: 'Hello there, gate!', max_tokens: 50 };
      assert.equal((await client.completions.create(asked)).choices[0].text, SAID[model]);
      assert.equal(textOf(await all(await client.completions.create({ ...asked, stream: true }))), SAID[model]);
    });
  }

  test('a stream that is left early', async () => {
    const stream = await client.chat.completions.create({ model: LAB, messages, stream: true });
    for await (const chunk of stream) {
      assert.equal(chunk.choices[0].delta.role, 'assistant');
      break;
    }
    assert.ok(stream.controller.signal.aborted);
  });

  test('tool calls, whole, streamed and by the stream helper', async () => {
    const asked = { model: ECHO, messages, tools: [weather] };
    const required = { ...asked, tool_choice: 'required' };
    const { choices } = await client.chat.completions.create(required);
    const [call] = choices[0].message.tool_calls;
    assert.equal(choices[0].finish_reason, 'tool_calls');
    assert.equal(call.function.name, 'weather');
    assert.deepEqual(JSON.parse(call.function.arguments), { city: 'Hello there, gate!', days: 1 });

    const chunks = await all(await client.chat.completions.create({ ...required, stream: true }));
    const deltas = chunks.flatMap((chunk) => chunk.choices[0].delta.tool_calls ?? []);
    assert.equal(deltas.map((delta) => delta.function.arguments ?? '').join(''), call.function.arguments);

    const final = await client.chat.completions.stream(required).finalMessage();
    assert.equal(final.tool_calls[0].function.arguments, call.function.arguments);

    const named = { type: 'function', function: { name: 'weather' } };
    const second = await client.chat.completions.create({ ...asked, tool_choice: named });
    assert.equal(second.choices[0].message.tool_calls[0].function.name, 'weather');
  });

  test('runTools calls the function', async () => {
    const seen = [];
    const tool = structuredClone(weather);
    Object.assign(tool.function, { parse: JSON.parse, function: (asked) => seen.push(asked) && 'sunny' });
    const runner = client.chat.completions.runTools({
      model: ECHO,
      messages,
      tools: [tool],
      tool_choice: { type: 'function', function: { name: 'weather' } },
    });
    assert.equal(await runner.finalFunctionToolCallResult(), 'sunny');
    assert.deepEqual(seen, [{ city: 'Hello there, gate!', days: 1 }]);
  });

  test('structured output', async () => {
    const schema = {
      type: 'object',
      properties: { title: { type: 'string' }, priority: { enum: ['low', 'high'] } },
      required: ['title', 'priority'],
      additionalProperties: false,
    };
    const format = { type: 'json_schema', json_schema: { name: 'task', schema, strict: true } };
    const answer = await client.chat.completions.parse({ model: ECHO, messages, response_format: format });
    assert.deepEqual(answer.choices[0].message.parsed, { title: 'Hello there, gate!', priority: 'low' });
  });

  test('embeddings, packed and as numbers', async () => {
    const asked = { model: 'builtin/embed', input: ['The quick brown fox', 'jumps over'] };
    const packed = await client.embeddings.create(asked); // the SDK asks for base64 by itself, and unpacks it
    const plain = await client.embeddings.create({ ...asked, encoding_format: 'float' });
    assert.deepEqual(packed.data.map((item) => [...item.embedding]), plain.data.map((item) => item.embedding));
    assert.deepEqual(plain.data.map((item) => item.embedding.length), [256, 256]);
    const short = await client.embeddings.create({ model: LAB, input: 'one', dimensions: 4 });
    assert.equal(short.data[0].embedding.length, 4);
  });

  test('models', async () => {
    const listed = (await all(client.models.list())).map((model) => model.id);
    assert.ok(listed.includes(LAB) && listed.includes(ECHO) && listed.includes('builtin/embed'));
    const model = await client.models.retrieve(ECHO);
    assert.deepEqual([model.id, model.object, model.owned_by], [ECHO, 'model', 'builtin']);
  });

  test('headers of a limited key', async () => {
    const { response } = await withKey('limited').chat.completions.create({ model: ECHO, messages }).withResponse();
    const header = (name) => response.headers.get(`x-ratelimit-${name}`);
    assert.deepEqual([header('limit-requests'), header('remaining-requests')], ['6', '5']);
    assert.match(header('reset-requests'), /^\d+(\.\d+)?s$/);
  });

  test('the key as X-API-Key', async () => {
    const carrier = new OpenAI({ defaultHeaders: { Authorization: null, 'X-API-Key': client.apiKey } });
    assert.ok((await carrier.models.list()).data.length > 0);
  });
});

describe('errors', () => {
  const ask = (from, options, model = ECHO) => from.chat.completions.create({ model, messages, ...options });

  for (const [name, code] of [
    ['unknown', 'invalid_api_key'],
    ['revoked', 'revoked_api_key'],
    ['expired', 'expired_api_key'],
  ]) {
    test(`a key that is ${name}`, async () => {
      await failure(ask(withKey(name)), OpenAI.AuthenticationError, 401, code);
      await failure(ask(withKey(name), { stream: true }), OpenAI.AuthenticationError, 401, code);
    });
  }

  test('no key', async () => {
    const nobody = new OpenAI({ defaultHeaders: { Authorization: null } });
    await failure(ask(nobody), OpenAI.AuthenticationError, 401, 'missing_api_key');
  });

  test('a key without the scope', async () => {
    await failure(ask(withKey('embedding')), OpenAI.PermissionDeniedError, 403, 'scope_denied');
  });

  test('an unknown model', async () => {
    const error = await failure(ask(client, {}, 'builtin/ecoh'), OpenAI.NotFoundError, 404, 'model_not_found');
    assert.equal(error.param, 'model');
    await failure(client.models.retrieve('nobody/knows'), OpenAI.NotFoundError, 404, 'model_not_found');
  });

  test('a bad request names the field', async () => {
    const error = await failure(ask(client, { n: 0 }), OpenAI.BadRequestError, 400, 'invalid_request');
    assert.deepEqual([error.param, error.type], ['n', 'invalid_request_error']);
  });

  test('a spent budget', async () => {
    await failure(ask(withKey('poor'), {}, LAB), OpenAI.APIError, 402, 'budget_exceeded');
  });

  test('an idempotency key with another body', async () => {
    const once = { headers: { 'Idempotency-Key': 'order-7' } };
    const first = await client.chat.completions.create({ model: LAB, messages }, once);
    assert.deepEqual(await client.chat.completions.create({ model: LAB, messages }, once), first);
    const other = client.chat.completions.create({ model: LAB, messages, n: 2 }, once);
    await failure(other, OpenAI.ConflictError, 409, 'idempotency_conflict');
  });

  test('a provider that fails', async () => {
    const patient = new OpenAI({ maxRetries: 0 });
    await failure(ask(patient, {}, 'down/gpt-4.1'), OpenAI.InternalServerError, 502, 'upstream_error');
    await failure(ask(patient, { stream: true }, 'down/gpt-4.1'), OpenAI.InternalServerError, 502, 'upstream_error');
  });

  test('a stream that breaks off raises, once', async () => {
    const chunks = [];
    const broken = async () => {
      for await (const chunk of await ask(client, { stream: true }, 'breaking/gpt-4.1')) chunks.push(chunk);
    };
    await failure(broken(), OpenAI.APIError, undefined, 'upstream_broken');
    assert.equal(textOf(chunks), 'Hello from ');
  });

  test('a client that gives up', async () => {
    const hasty = new OpenAI({ maxRetries: 0, timeout: 300 });
    await failure(ask(hasty, {}, 'silent/gpt-4.1'), OpenAI.APIConnectionTimeoutError, undefined, undefined);
  });
});

describe('retries', () => {
  test('a failure that passes', async () => {
    const answer = await client.chat.completions.create({ model: 'stumbling/gpt-4.1', messages });
    assert.equal(answer.choices[0].message.content, SAID[LAB]);
  });

  test('what waiting does not mend is not repeated', async () => {
    const answer = client.chat.completions.create({ model: 'penniless/gpt-4.1', messages });
    const error = await failure(answer, OpenAI.RateLimitError, 429, 'upstream_rate_limited');
    assert.equal(error.headers.get('x-should-retry'), 'false');
  });

  test('nor is what would have to wait for hours', async () => {
    const frugal = withKey('frugal');
    await frugal.chat.completions.create({ model: ECHO, messages });
    const again = frugal.chat.completions.create({ model: ECHO, messages });
    const error = await failure(again, OpenAI.RateLimitError, 429, 'rate_limit_exceeded');
    assert.ok(Number(error.headers.get('retry-after')) > 3600);
    assert.equal(error.headers.get('x-should-retry'), 'false');
  });
});

describe('batches', () => {
  test('from a file to its answers', async () => {
    const body = { model: LAB, messages };
    const lines = ['a', 'b'].map((custom_id) => JSON.stringify({ custom_id, method: 'POST', url: '/v1/chat/completions', body }));
    const input = await OpenAI.toFile(Buffer.from(lines.join('\n')), 'in.jsonl');
    const file = await client.files.create({ file: input, purpose: 'batch' });
    assert.deepEqual([file.filename, file.purpose], ['in.jsonl', 'batch']);
    let batch = await client.batches.create({
      input_file_id: file.id,
      endpoint: '/v1/chat/completions',
      completion_window: '24h',
    });
    while (!['completed', 'failed', 'expired', 'cancelled'].includes(batch.status)) batch = await client.batches.retrieve(batch.id);
    assert.deepEqual(batch.request_counts, { total: 2, completed: 2, failed: 0 });
    const output = await (await client.files.content(batch.output_file_id)).text();
    const answers = output.trim().split('\n').map((line) => JSON.parse(line));
    assert.deepEqual(answers.map((answer) => answer.custom_id), ['a', 'b']);
    assert.equal(answers[0].response.body.choices[0].message.content, SAID[LAB]);
    assert.deepEqual(await client.files.delete(file.id), { id: file.id, object: 'file', deleted: true });
    await failure(client.files.retrieve(file.id), OpenAI.NotFoundError, 404, 'not_found');
  });
});

// A square of 16 pixels.
const PNG = 'iVBORw0KGgoAAAANSUhEUgAAABAAAAAQCAAAAAA6mKC9AAAAD0lEQVR4nGNoQAMMI1sAAAUMgAFaSOXNAAAAAElFTkSuQmCC';

describe('pictures', () => {
  const model = 'builtin/svg';
  const picture = async (name) => OpenAI.toFile(Buffer.from(PNG, 'base64'), name, { type: 'image/png' });
  const kindOf = (text) => Buffer.from(text, 'base64').subarray(1, 4).toString();

  test('of words, of pictures, and like another', async () => {
    const asked = { model, size: '64x64', response_format: 'b64_json' };
    const made = await client.images.generate({ ...asked, prompt: 'a fox', n: 2 });
    assert.deepEqual(made.data.map((each) => kindOf(each.b64_json)), ['PNG', 'PNG']);
    const several = { image: [await picture('one.png')], mask: await picture('mask.png') };
    const edited = await client.images.edit({ ...asked, ...several, prompt: 'a fox' });
    assert.equal(kindOf(edited.data[0].b64_json), 'PNG');
    const varied = await client.images.createVariation({ model, image: await picture('one.png') });
    const shown = await fetch(varied.data[0].url);
    assert.equal(shown.headers.get('content-type'), 'image/png');
  });

  test('as events', async () => {
    const names = [];
    const streams = [
      client.images.generate({ model, prompt: 'a fox', size: '64x64', stream: true, partial_images: 1 }),
      client.images.edit({ model, prompt: 'a fox', image: await picture('one.png'), stream: true }),
    ];
    for (const stream of streams) for await (const event of await stream) names.push(event.type);
    assert.deepEqual(names.filter((name) => name.endsWith('completed')), ['image_generation.completed', 'image_edit.completed']);
  });

  test('what is no picture', async () => {
    const image = await OpenAI.toFile(Buffer.from('hello'), 'a.png', { type: 'image/png' });
    const error = await failure(client.images.edit({ model, image, prompt: 'x' }), OpenAI.BadRequestError, 400, 'invalid_request');
    assert.equal(error.param, 'image');
  });
});
