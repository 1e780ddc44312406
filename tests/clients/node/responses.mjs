// The openai package from npm, its Responses: unmodified but for base URL and key.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { CAT, Cat, ECHO, HELLO, KEY, KEYS, MODELS, URL, all, failure, like, look, said } from './gate.mjs';

const connect = (options) => new OpenAI({ baseURL: `${URL}/v1`, apiKey: KEY, ...options });
const client = connect();
const tools = [{ type: 'function', name: 'look', description: 'Looks', parameters: look, strict: true }];

describe('answers', () => {
  for (const model of [ECHO, ...MODELS]) {
    test(`whole, and kept: ${model}`, async () => {
      const response = await client.responses.create({ model, input: HELLO, instructions: 'Be kind.' });
      assert.deepEqual([response.output_text, response.status], [said(model), 'completed']);
      assert.ok(response.usage.total_tokens === response.usage.input_tokens + response.usage.output_tokens);
      assert.match(response._request_id, /^req-/);
      assert.equal((await client.responses.retrieve(response.id)).output_text, said(model));
      const next = await client.responses.create({ model, input: 'And?', previous_response_id: response.id });
      assert.equal(next.previous_response_id, response.id);
      await client.responses.delete(response.id);
      await failure(client.responses.retrieve(response.id), OpenAI.NotFoundError);
    });

    test(`a stream: ${model}`, async () => {
      const events = await all(await client.responses.create({ model, input: HELLO, stream: true }));
      const deltas = events.filter(({ type }) => type === 'response.output_text.delta').map(({ delta }) => delta);
      assert.deepEqual([deltas.join(''), events.at(-1).type], [said(model), 'response.completed']);
      assert.deepEqual(events.map((event) => event.sequence_number), [...events.keys()]);
      const final = await client.responses.stream({ model, input: HELLO }).finalResponse();
      assert.equal(final.output_text, said(model));
    });
  }

  for (const model of MODELS) {
    test(`a tool and its result: ${model}`, async () => {
      const first = await client.responses.create({ model, input: 'Look at the sea', tools });
      const streamed = await client.responses.stream({ model, input: 'Look at the sea', tools }).finalResponse();
      for (const response of [first, streamed]) {
        const call = response.output.find((item) => item.type === 'function_call');
        assert.deepEqual([call.name, JSON.parse(call.arguments)], ['look', { at: 'sea' }]);
        const input = [{ type: 'function_call_output', call_id: call.call_id, output: 'blue' }];
        const next = await client.responses.create({ model, input, tools, previous_response_id: response.id });
        assert.equal(next.output_text, said(model));
      }
    });

    test(`an object: ${model}`, async () => {
      const asked = { model: like(model, 'json'), input: 'A cat', text: { format: zodTextFormat(Cat, 'cat') } };
      assert.deepEqual((await client.responses.parse(asked)).output_parsed, CAT);
      assert.deepEqual((await client.responses.stream(asked).finalResponse()).output_parsed, CAT);
    });

    test(`a limited provider: ${model}`, async () => {
      const asking = connect({ maxRetries: 0 }).responses.create({ model: like(model, 'limited'), input: HELLO });
      const error = await failure(asking, OpenAI.RateLimitError);
      assert.deepEqual([error.status, error.code], [429, 'upstream_rate_limited']);
    });
  }
});

describe('errors', () => {
  test('a wrong key', async () => {
    const asking = connect({ apiKey: KEYS.unknown }).responses.create({ model: ECHO, input: HELLO });
    assert.equal((await failure(asking, OpenAI.AuthenticationError)).code, 'invalid_api_key');
  });

  test('an unknown model', async () => {
    const error = await failure(client.responses.create({ model: 'lab/gone', input: HELLO }), OpenAI.NotFoundError);
    assert.deepEqual([error.code, error.param], ['model_not_found', 'model']);
  });

  test('a stream that breaks off says so in its last event', async () => {
    const events = await all(await client.responses.create({ model: 'breaking/gpt-4.1', input: HELLO, stream: true }));
    assert.deepEqual([events.at(-1).type, events.at(-1).response.status], ['response.failed', 'failed']);
  });

  test('a limited call is tried again when the gate says', async () => {
    const response = await client.responses.create({ model: 'stumbling/gpt-4.1', input: HELLO });
    assert.equal(response.output_text, said('stumbling'));
  });
});
