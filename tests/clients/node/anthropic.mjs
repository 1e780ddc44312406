// Anthropic's package from npm, unmodified but for base URL and key.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import Anthropic from '@anthropic-ai/sdk';
import { betaZodTool } from '@anthropic-ai/sdk/helpers/beta/zod';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';
import { CAT, Cat, ECHO, HELLO, KEY, KEYS, MODELS, URL, all, failure, like, look, said } from './gate.mjs';

const connect = (options) => new Anthropic({ baseURL: URL, apiKey: KEY, ...options });
const client = connect();
const asked = (model, more) => ({ model, max_tokens: 64, messages: [{ role: 'user', content: HELLO }], ...more });
const tools = [{ name: 'look', description: 'Looks', input_schema: look }];

describe('answers', () => {
  for (const model of [ECHO, ...MODELS]) {
    test(`a message: ${model}`, async () => {
      const { data, request_id } = await client.messages.create(asked(model, { system: 'Be kind.' })).withResponse();
      assert.deepEqual([data.content[0].text, data.stop_reason, data.role], [said(model), 'end_turn', 'assistant']);
      assert.ok(data.usage.input_tokens > 0 && data.usage.output_tokens > 0);
      assert.match(request_id, /^req-/);
    });

    test(`a stream: ${model}`, async () => {
      const events = await all(await client.messages.create(asked(model, { stream: true })));
      assert.deepEqual([events[0].type, events.at(-1).type], ['message_start', 'message_stop']);
      const stream = client.messages.stream(asked(model));
      let text = '';
      stream.on('text', (delta) => (text += delta));
      const message = await stream.finalMessage();
      assert.deepEqual([text, message.content[0].text, message.stop_reason], [said(model), said(model), 'end_turn']);
      assert.ok(message.usage.output_tokens > 0);
    });
  }

  for (const model of MODELS) {
    test(`a tool, whole and streamed: ${model}`, async () => {
      const message = await client.messages.create(asked(model, { tools }));
      const streamed = await client.messages.stream(asked(model, { tools })).finalMessage();
      for (const { content, stop_reason } of [message, streamed]) {
        const call = content.find((block) => block.type === 'tool_use');
        assert.deepEqual([stop_reason, call.name, call.input], ['tool_use', 'look', { at: 'sea' }]);
      }
    });

    test(`the tool runner: ${model}`, async () => {
      const seen = [];
      const run = (input) => seen.push(input) && 'blue';
      const tool = betaZodTool({ name: 'look', description: 'Looks', inputSchema: z.object({ at: z.string() }), run });
      for (const stream of [false, true]) {
        const final = await client.beta.messages.toolRunner(asked(model, { tools: [tool], stream })).runUntilDone();
        assert.deepEqual([final.content[0].text, final.stop_reason], [said(model), 'end_turn']);
      }
      assert.deepEqual(seen, [{ at: 'sea' }, { at: 'sea' }]);
    });

    test(`an object: ${model}`, async () => {
      const output_config = { format: zodOutputFormat(Cat) };
      const message = await client.messages.parse(asked(like(model, 'json'), { output_config }));
      assert.deepEqual(message.parsed_output, CAT);
    });

    test(`a limited provider: ${model}`, async () => {
      const asking = connect({ maxRetries: 0 }).messages.create(asked(like(model, 'limited')));
      const error = await failure(asking, Anthropic.RateLimitError);
      assert.deepEqual([error.status, error.error.error.type], [429, 'rate_limit_error']);
      assert.equal(error.headers.get('retry-after'), '1');
    });
  }

  test('tokens are counted', async () => {
    for (const model of MODELS) {
      const { input_tokens } = await client.messages.countTokens({ model, messages: asked(model).messages });
      assert.ok(input_tokens > 0, model);
    }
  });

  test('models', async () => {
    const ids = (await all(client.models.list({ limit: 2 }))).map((model) => model.id);
    assert.ok(MODELS.every((model) => ids.includes(model)));
    assert.equal((await client.models.retrieve(ECHO)).id, ECHO);
  });

  test('a bearer token in place of a key', async () => {
    const message = await connect({ apiKey: null, authToken: KEY }).messages.create(asked(ECHO));
    assert.equal(message.content[0].text, HELLO);
  });
});

describe('errors', () => {
  test('a wrong key', async () => {
    const error = await failure(connect({ apiKey: KEYS.unknown }).messages.create(asked(ECHO)), Anthropic.AuthenticationError);
    assert.deepEqual([error.status, error.error.error.type], [401, 'authentication_error']);
    assert.match(error.requestID, /^req-/);
  });

  test('a key without the scope', async () => {
    await failure(connect({ apiKey: KEYS.embedding }).messages.create(asked(ECHO)), Anthropic.PermissionDeniedError);
  });

  test('an unknown model', async () => {
    const error = await failure(client.messages.create(asked('lab/gone')), Anthropic.NotFoundError);
    assert.equal(error.error.error.type, 'not_found_error');
    assert.match(error.message, /lab\/gone/);
  });

  test('a bad request', async () => {
    await failure(client.messages.create(asked(ECHO, { messages: [] })), Anthropic.BadRequestError);
  });

  test('a stream that breaks off', async () => {
    const asking = connect({ maxRetries: 0 }).messages.stream(asked('breaking/gpt-4.1')).finalMessage();
    const error = await failure(asking, Anthropic.APIError);
    assert.match(error.message, /closed the connection/);
  });

  test('a limited call is tried again when the gate says', async () => {
    const message = await client.messages.create(asked('stumbling/gpt-4.1'));
    assert.equal(message.content[0].text, said('stumbling'));
  });

  test('a limit of the key itself', async () => {
    const limited = connect({ apiKey: KEYS.limited, maxRetries: 0 });
    await limited.messages.create(asked(ECHO));
    const error = await failure(limited.messages.create(asked(ECHO)), Anthropic.RateLimitError);
    assert.ok(Number(error.headers.get('retry-after')) > 0);
  });
});
