import fc from 'fast-check';
import type { ApiDocument, Schema } from './document.js';
import { hostileJson, hostileNumeral, hostileText } from './hostile-values.js';

/** Values that the server knows or accepts, by the name of the property or parameter. */
export type KnownValues = Readonly<Record<string, fc.Arbitrary<string>>>;

/** Values that fit a schema. */
export function valuesOf(schema: Schema, document: ApiDocument, known: KnownValues, name = ''): fc.Arbitrary<unknown> {
  const resolved = document.resolve(schema);
  const inner = (part: Schema, partName = name) => valuesOf(part, document, known, partName);
  if (resolved.anyOf !== undefined) return fc.oneof(...resolved.anyOf.map((part) => inner(part)));
  if (resolved.enum !== undefined) return fc.constantFrom(...resolved.enum);
  if (Array.isArray(resolved.type)) return fc.oneof(...resolved.type.map((type) => inner({ type })));
  switch (resolved.type) {
    case 'string':
      return known[name] ?? fc.string({ maxLength: resolved.maxLength ?? 100 });
    case 'integer':
    case 'number': {
      const { minimum: min = 0, maximum: max = 2 ** 40 } = resolved;
      const whole = fc.integer({ min: Math.ceil(min), max: Math.floor(Math.min(max, Number.MAX_SAFE_INTEGER)) });
      if (known[name] !== undefined) return known[name];
      return resolved.type === 'integer' ? whole : fc.oneof(whole, fc.double({ min, max, noNaN: true }));
    }
    case 'null':
      return fc.constant(null);
    case 'boolean':
      return fc.boolean();
    case 'array':
      return fc.array(inner(resolved.items ?? {}), {
        minLength: resolved.minItems ?? 0,
        maxLength: Math.min(resolved.maxItems ?? 5, 5),
      });
    case 'object': {
      const entries = Object.entries(resolved.properties ?? {}).map(([key, part]) => [key, inner(part, key)]);
      const fixed = fc.record<Record<string, unknown>, string>(Object.fromEntries(entries), {
        requiredKeys: [...(resolved.required ?? [])],
      });
      const { additionalProperties: others } = resolved;
      if (typeof others !== 'object') return fixed;
      // The names of properties are filenames.
      return fc.dictionary(known.filenames ?? fc.string(), inner(others), { maxKeys: 5 });
    }
    default:
      return fc.jsonValue({ maxDepth: 1 });
  }
}

/** Values that nearly fit: a valid one with a part that was replaced, added or removed. */
function nearValuesOf(valid: fc.Arbitrary<unknown>): fc.Arbitrary<unknown> {
  return fc.tuple(valid, fc.nat(), hostileJson, hostileText).map(([value, at, other, key]) => {
    if (value === null || typeof value !== 'object') return other;
    const copy = structuredClone(value) as Record<string, unknown>;
    const keys = Object.keys(copy);
    const place = keys[at % (keys.length + 1)];
    if (place === undefined) Array.isArray(copy) ? copy.push(other) : define(copy, key, other);
    else if (at % 3 === 0) delete copy[place];
    else if (copy[place] !== null && typeof copy[place] === 'object') {
      const deeper = copy[place] as Record<string, unknown>;
      Array.isArray(deeper) ? deeper.push(other) : define(deeper, key, other);
    } else copy[place] = other;
    return copy;
  });
}

/** Unlike an assignment, sets `__proto__` as JSON.parse does. */
function define(target: object, key: string, value: unknown): void {
  Object.defineProperty(target, key, { value, enumerable: true, configurable: true, writable: true });
}

/** Changes of a text that is JSON: most results are not, or mean another value than they seem to. */
const textChange: fc.Arbitrary<(json: string) => string | Buffer> = fc.oneof(
  fc.double({ min: 0, max: 1, noNaN: true }).map((at) => (json: string) => json.slice(0, Math.floor(at * json.length))),
  fc.constantFrom('\ufeff', ' ', '\n\n', '//c\n', '\u0000', 'x').map((before) => (json: string) => before + json),
  fc.constantFrom('\u0000', '}', ',', ' null', '\n').map((after) => (json: string) => json + after),
  fc.constantFrom<BufferEncoding>('utf16le', 'latin1').map((encoding) => (json: string) => Buffer.from(json, encoding)),
  fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => (json: string) => {
    const middle = Math.floor(json.length / 2);
    return Buffer.concat([Buffer.from(json.slice(0, middle)), bytes, Buffer.from(json.slice(middle))]);
  }),
  // Keys twice: the last one decides in JavaScript.
  fc.constant((json: string) => json.replace(/^\{(.+)\}$/s, '{$1,$1}')),
  fc.integer({ min: 1, max: 3000 }).map((depth) => (json: string) => '['.repeat(depth) + json + ']'.repeat(depth)),
  hostileNumeral.map((numeral) => (json: string) => json.replace(/(?<=[:[,])-?\d[\d.e+-]*|null/, () => numeral)),
  fc
    .integer({ min: 1, max: 5000 })
    .map((count) => (json: string) => `[${`${json},`.repeat(count).slice(0, 300_000)}0]`),
);

/** The bytes of JSON bodies that are valid. */
export function jsonBodies(valid: fc.Arbitrary<unknown>): fc.Arbitrary<Buffer> {
  return valid.map((value) => Buffer.from(JSON.stringify(value)));
}

/** The bytes of JSON bodies that are valid, nearly valid, or neither. */
export function hostileJsonBodies(valid: fc.Arbitrary<unknown>): fc.Arbitrary<Buffer> {
  const changed = fc
    .tuple(valid, textChange)
    .map(([value, change]) => Buffer.from(change(JSON.stringify(value)) as string));
  return fc.oneof(
    { weight: 4, arbitrary: jsonBodies(nearValuesOf(valid)) },
    { weight: 2, arbitrary: jsonBodies(hostileJson) },
    { weight: 4, arbitrary: changed },
    { weight: 1, arbitrary: fc.uint8Array({ maxLength: 50 }).map((bytes) => Buffer.from(bytes)) },
  );
}
