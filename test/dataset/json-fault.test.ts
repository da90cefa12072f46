import fc from 'fast-check';
import { expect, test } from 'vitest';
import { jsonFaultIn } from '../../src/dataset/json-fault.js';

const shown = (text: string) => {
  const fault = jsonFaultIn(text);
  return fault && `${fault.line}:${fault.column} ${fault.message}`;
};

const NOT_CLOSED =
  'this text is not closed in its line, or has a \\ that begins no escape (a line break is \\n, a backslash \\\\)';

test.each([
  ['', '1:1 there is no value'],
  ['  \n', '2:1 there is no value'],
  ['{"a": 1,}', '1:9 here stands } in place of a name in double quotes'],
  ['[1, 2,\n]', '2:1 here stands ] in place of a value'],
  ["{'a': 1}", "1:2 here stands ' in place of a name in double quotes or }"],
  ['{"a" 1}', '1:6 here stands 1 in place of a colon'],
  ['{"a": NaN}', '1:7 here stands NaN in place of a value'],
  ['{"a": True}', '1:7 here stands True in place of a value'],
  ['{"a": 01}', '1:7 here stands 01 in place of a value'],
  ['{"a": 1} {', '1:10 here stands { in place of the end'],
  ['```json\n{}\n```', '1:1 here stands ` in place of a value'],
  ['{"a": 1 "b": 2}', '1:9 here stands " in place of , or }'],
  ['[1 2]', '1:4 here stands 2 in place of , or ]'],
  ['[1}', '1:3 here stands } in place of , or ]'],
  ['{\r\n"a": "x\r\ny"}', `2:6 ${NOT_CLOSED}`],
  ['{"a": "C:\\path"}', `1:7 ${NOT_CLOSED}`],
  ['{"a": "x\ty"}', `1:7 ${NOT_CLOSED}`],
  ['{\n "a": [\n  1', '3:4 the text ends, and the [ in line 2 is never closed'],
  ['["🚂", x]', '1:7 here stands x in place of a value'],
])('a fault of JSON is named with its place: %j', (text, expected) => {
  expect(shown(text)).toBe(expected);
});

test('a fault of JSON is found exactly where JSON.parse finds one, when random bytes are changed', () => {
  const changed = fc.tuple(
    fc.json(),
    fc.nat(),
    fc.constantFrom('', '"', '\\', '{', ']', ',', ':', '0', 'é', '\n', 't'),
  );
  fc.assert(
    fc.property(changed, ([json, seed, sign]) => {
      const at = seed % (json.length + 1);
      const text = json.slice(0, at) + sign + json.slice(at + 1);
      const isJson = (() => {
        try {
          JSON.parse(text);
          return true;
        } catch {
          return false;
        }
      })();
      expect(jsonFaultIn(text) === undefined).toBe(isJson);
    }),
    { seed: 40, numRuns: 2000 },
  );
});
