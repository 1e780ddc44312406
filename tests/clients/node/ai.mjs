// The Vercel AI SDK over each of its providers that has a face here, unmodified but for base URL and key.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createGoogle } from '@ai-sdk/google';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { APICallError, Output, RetryError, embed, generateText, isStepCount, jsonSchema, streamText, tool } from 'ai';
import { CAT, Cat, ECHO, HELLO, KEY, KEYS, MODELS, URL, failure, like, look, said } from './gate.mjs';

const PROVIDERS = {
  openai: (apiKey) => createOpenAI({ apiKey, baseURL: `${URL}/v1` }),
  'openai.chat': (apiKey) => createOpenAI({ apiKey, baseURL: `${URL}/v1` }).chat,
  anthropic: (apiKey) => createAnthropic({ apiKey, baseURL: `${URL}/v1` }),
  google: (apiKey) => createGoogle({ apiKey, baseURL: `${URL}/v1beta` }),
  compatible: (apiKey) =>
    createOpenAICompatible({
      name: 'aldgate',
      apiKey,
      baseURL: `${URL}/v1`,
      includeUsage: true,
      supportsStructuredOutputs: true,
    }),
};

for (const [name, connect] of Object.entries(PROVIDERS)) {
  const provider = connect(KEY);

  describe(name, () => {
    for (const model of [ECHO, ...MODELS]) {
      test(`text: ${model}`, async () => {
        const { text, finishReason, usage } = await generateText({ model: provider(model), prompt: HELLO });
        assert.deepEqual([text, finishReason], [said(model), 'stop']);
        assert.ok(usage.inputTokens > 0 && usage.outputTokens > 0, JSON.stringify(usage));
      });

      test(`a stream: ${model}`, async () => {
        const result = streamText({ model: provider(model), prompt: HELLO, instructions: 'Be kind.' });
        let text = '';
        for await (const piece of result.textStream) text += piece;
        assert.deepEqual([text, await result.finishReason], [said(model), 'stop']);
        const { inputTokens, outputTokens } = await result.usage;
        assert.ok(inputTokens > 0 && outputTokens > 0);
      });
    }

    for (const model of MODELS) {
      const asked = { prompt: 'Look at the sea', stopWhen: isStepCount(3) };
      const looking = (seen) => ({
        look: tool({ description: 'Looks', inputSchema: jsonSchema(look), execute: (input) => seen.push(input) && 'blue' }),
      });

      test(`a tool is run and its result sent: ${model}`, async () => {
        const seen = [];
        const { text, steps } = await generateText({ ...asked, model: provider(model), tools: looking(seen) });
        assert.deepEqual(seen, [{ at: 'sea' }]);
        assert.deepEqual([steps.length, steps[0].finishReason, text], [2, 'tool-calls', said(model)]);
      });

      test(`a tool in a stream: ${model}`, async () => {
        const seen = [];
        const result = streamText({ ...asked, model: provider(model), tools: looking(seen) });
        await result.consumeStream();
        assert.deepEqual(seen, [{ at: 'sea' }]);
        assert.deepEqual([(await result.steps).length, await result.text], [2, said(model)]);
      });

      test(`an object: ${model}`, async () => {
        const output = Output.object({ schema: Cat });
        const providerOptions = { anthropic: { structuredOutputMode: 'outputFormat' } }; // else only for models named Claude
        const wanted = { model: provider(like(model, 'json')), prompt: 'A cat', output, providerOptions };
        assert.deepEqual((await generateText(wanted)).output, CAT);
        assert.deepEqual(await streamText(wanted).output, CAT);
      });

      test(`a limited provider: ${model}`, async () => {
        const asking = generateText({ model: provider(like(model, 'limited')), prompt: HELLO, maxRetries: 0 });
        const error = await failure(asking, APICallError);
        assert.deepEqual([error.statusCode, error.isRetryable], [429, true]);
        assert.equal(error.responseHeaders['retry-after'], '1');
      });
    }

    test('a wrong key', async () => {
      const error = await failure(generateText({ model: connect(KEYS.unknown)(ECHO), prompt: HELLO }), APICallError);
      assert.deepEqual([error.statusCode, error.isRetryable], [401, false]);
      assert.match(error.message, /key/i);
    });

    test('an unknown model', async () => {
      const error = await failure(generateText({ model: provider('lab/gone'), prompt: HELLO }), APICallError);
      assert.deepEqual([error.statusCode, error.isRetryable], [404, false]);
      assert.match(error.message, /lab\/gone/);
    });

    test('a stream that breaks off', async () => {
      const errors = [];
      const onError = ({ error }) => errors.push(error);
      const result = streamText({ model: provider('breaking/gpt-4.1'), prompt: HELLO, onError, maxRetries: 0 });
      await result.consumeStream();
      assert.equal(errors.length, 1);
      assert.match(JSON.stringify(errors[0]) + errors[0].message, /closed the connection/);
    });
  });
}

test('an object by way of a tool that must be called', async () => {
  const { output } = await generateText({
    model: PROVIDERS.anthropic(KEY)(ECHO),
    prompt: HELLO,
    output: Output.object({ schema: Cat }),
  });
  assert.equal(output.name, HELLO);
});

test('a limited call is tried again when the gate says', async () => {
  const { text } = await generateText({ model: PROVIDERS.openai(KEY)('stumbling/gpt-4.1'), prompt: HELLO });
  assert.equal(text, said('stumbling'));
});

test('what stays limited is given up', async () => {
  const model = PROVIDERS.anthropic(KEY)('lab-limited/gpt-4.1');
  const error = await failure(generateText({ model, prompt: HELLO, maxRetries: 1 }), RetryError);
  assert.equal(error.errors.length, 2);
});

test('embeddings', async () => {
  for (const name of ['openai', 'compatible', 'google']) {
    const { embedding } = await embed({ model: PROVIDERS[name](KEY).embeddingModel('builtin/embed'), value: HELLO });
    assert.equal(embedding.length, 256, name);
  }
});
