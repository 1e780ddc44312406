// Google's package from npm, unmodified but for base URL and key.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ApiError, FunctionCallingConfigMode, GoogleGenAI } from '@google/genai';
import { CAT, ECHO, HELLO, KEY, KEYS, MODELS, URL, all, failure, like, look, said } from './gate.mjs';

const connect = (apiKey = KEY, options = {}) => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: URL, ...options } });
const client = connect();
const tools = [{ functionDeclarations: [{ name: 'look', description: 'Looks', parametersJsonSchema: look }] }];

describe('answers', () => {
  for (const model of [ECHO, ...MODELS]) {
    test(`whole: ${model}`, async () => {
      const config = { systemInstruction: 'Be kind.', temperature: 0.5, maxOutputTokens: 64 };
      const reply = await client.models.generateContent({ model, contents: HELLO, config });
      assert.deepEqual([reply.text, reply.candidates[0].finishReason], [said(model), 'STOP']);
      const { promptTokenCount, candidatesTokenCount, totalTokenCount } = reply.usageMetadata;
      assert.ok(promptTokenCount > 0 && totalTokenCount === promptTokenCount + candidatesTokenCount);
    });

    test(`a stream: ${model}`, async () => {
      const pieces = await all(await client.models.generateContentStream({ model, contents: HELLO }));
      assert.equal(pieces.map((piece) => piece.text ?? '').join(''), said(model));
      assert.equal(pieces.at(-1).candidates[0].finishReason, 'STOP');
      assert.ok(pieces.at(-1).usageMetadata.totalTokenCount > 0);
    });
  }

  for (const model of MODELS) {
    test(`a tool and its result: ${model}`, async () => {
      const question = { role: 'user', parts: [{ text: 'Look at the sea' }] };
      const reply = await client.models.generateContent({ model, contents: [question], config: { tools } });
      const [call] = reply.functionCalls;
      assert.deepEqual([call.name, call.args], ['look', { at: 'sea' }]);
      const functionResponse = { id: call.id, name: call.name, response: { output: 'blue' } };
      const contents = [question, reply.candidates[0].content, { role: 'user', parts: [{ functionResponse }] }];
      assert.equal((await client.models.generateContent({ model, contents, config: { tools } })).text, said(model));
    });

    test(`a tool that is called by itself, in a stream: ${model}`, async () => {
      const seen = [];
      const callTool = async (calls) => {
        seen.push(...calls.map((call) => call.args));
        return calls.map(({ id, name }) => ({ functionResponse: { id, name, response: { output: 'blue' } } }));
      };
      const config = { tools: [{ tool: async () => tools[0], callTool }] };
      const pieces = await all(await client.models.generateContentStream({ model, contents: HELLO, config }));
      assert.deepEqual(seen, [{ at: 'sea' }]);
      assert.ok(pieces.map((piece) => piece.text ?? '').join('').endsWith(said(model)));
    });

    test(`an object: ${model}`, async () => {
      const schema = { type: 'object', properties: { name: { type: 'string' }, lives: { type: 'integer' } } };
      const config = { responseMimeType: 'application/json', responseJsonSchema: schema };
      const reply = await client.models.generateContent({ model: like(model, 'json'), contents: 'A cat', config });
      assert.deepEqual(JSON.parse(reply.text), CAT);
    });

    test(`a limited provider: ${model}`, async () => {
      const asking = client.models.generateContent({ model: like(model, 'limited'), contents: HELLO });
      const error = await failure(asking, ApiError);
      assert.deepEqual([error.status, JSON.parse(error.message).error.status], [429, 'RESOURCE_EXHAUSTED']);
    });
  }

  test('a chat remembers', async () => {
    const chat = client.chats.create({ model: ECHO });
    await chat.sendMessage({ message: 'One' });
    assert.equal((await chat.sendMessage({ message: 'Two' })).text, 'Two');
    assert.equal(chat.getHistory().length, 4);
  });

  test('a tool must be called', async () => {
    const toolConfig = { functionCallingConfig: { mode: FunctionCallingConfigMode.ANY } };
    const reply = await client.models.generateContent({ model: ECHO, contents: HELLO, config: { tools, toolConfig } });
    assert.deepEqual(reply.functionCalls[0].args, { at: HELLO });
  });

  test('embeddings, tokens and models', async () => {
    const { embeddings } = await client.models.embedContent({ model: 'builtin/embed', contents: ['one', 'two'] });
    assert.deepEqual(embeddings.map((each) => each.values.length), [256, 256]);
    assert.ok((await client.models.countTokens({ model: MODELS[0], contents: HELLO })).totalTokens > 0);
    const names = (await all(await client.models.list({ config: { pageSize: 2 } }))).map((model) => model.name);
    assert.ok(MODELS.every((model) => names.includes(`models/${model}`)), names);
  });
});

describe('errors', () => {
  const asking = (from, model) => from.models.generateContent({ model, contents: HELLO });
  const told = (error) => JSON.parse(error.message).error;

  test('a wrong key', async () => {
    const error = await failure(asking(connect(KEYS.unknown), ECHO), ApiError);
    assert.deepEqual([error.status, told(error).code], [401, 401]);
  });

  test('an unknown model', async () => {
    const error = await failure(asking(client, 'lab/gone'), ApiError);
    assert.deepEqual([error.status, told(error).status], [404, 'NOT_FOUND']);
  });

  test('a stream that breaks off', async () => {
    const broken = async () => all(await client.models.generateContentStream({ model: 'breaking/gpt-4.1', contents: HELLO }));
    await failure(broken(), Error);
  });

  test('a limited call is tried again where the client is told to', async () => {
    const patient = connect(KEY, { retryOptions: { attempts: 2 } });
    assert.equal((await asking(patient, 'stumbling/gpt-4.1')).text, said('stumbling'));
  });
});
