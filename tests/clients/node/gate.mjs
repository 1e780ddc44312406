// What the suites here share: where the gate is, its models, and what its providers say. test_node_clients.py starts it.

import assert from 'node:assert/strict';
import { z } from 'zod';

export const URL = process.env.GATE_URL;
export const KEY = process.env.GATE_KEY;
export const KEYS = JSON.parse(process.env.GATE_KEYS);
export const ECHO = 'builtin/echo';
export const MODELS = JSON.parse(process.env.GATE_MODELS); // one of each dialect
export const HELLO = 'Hello there, gate!';
export const said = (model) => (model === ECHO ? HELLO : 'Hello from the fake upstream.');
export const like = (model, kind) => model.replace('/', `-${kind}/`);
export const CAT = { name: 'Tom', lives: 9 };
export const Cat = z.object({ name: z.string(), lives: z.number() });
export const look = {
  type: 'object',
  properties: { at: { type: 'string' } },
  required: ['at'],
  additionalProperties: false,
};

export async function all(stream) {
  const items = [];
  for await (const item of stream) items.push(item);
  return items;
}

export async function failure(promise, kind) {
  const error = await promise.then(
    () => assert.fail('nothing was thrown'),
    (thrown) => thrown,
  );
  assert.ok(error instanceof kind, `${error?.constructor?.name}: ${error?.message}`);
  return error;
}
