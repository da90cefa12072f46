/*
 * `npm run fuzz [-- --requests N --sequences N --histories N --seed N]`: sends random requests to a server of its own and compares
 * each answer with the OpenAPI document; then changes datasets in random order and compares them with a model; then does so with
 * three clients, and compares the history. Needs a build.
 */
import { parseArgs } from 'node:util';
import type { Run } from './check.js';
import { fuzzRequests } from './fuzz-requests.js';
import { fuzzSequences } from './fuzz-sequences.js';
import { fuzzHistories } from './history/fuzz-histories.js';

const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    requests: { type: 'string' },
    sequences: { type: 'string' },
    histories: { type: 'string' },
    path: { type: 'string' },
  },
});

/** Without any of the numbers, all kinds run. */
const isDefault = [values.requests, values.sequences, values.histories].every((count) => count === undefined);
const DEFAULTS = { requests: 20_000, sequences: 500, histories: 100 };

async function fuzz(): Promise<string[]> {
  const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
  console.log(`seed ${seed}`);
  const kinds = {
    requests: async (run: Run) => {
      const { failure, sent, answers } = await fuzzRequests(run);
      for (const [answer, count] of [...answers].sort()) console.log(`${String(count).padStart(7)}  ${answer}`);
      console.log(`${sent} answers`);
      return failure;
    },
    sequences: fuzzSequences,
    histories: fuzzHistories,
  };
  const failures: (string | undefined)[] = [];
  for (const [name, tryMany] of Object.entries(kinds) as [keyof typeof kinds, (run: Run) => Promise<string>][]) {
    const count = Number(values[name] ?? (isDefault ? DEFAULTS[name] : 0));
    if (count === 0) continue;
    const started = performance.now();
    failures.push(await tryMany({ seed, count, ...(values.path !== undefined && { path: values.path }) }));
    console.log(`${count} ${name} in ${((performance.now() - started) / 1000).toFixed(0)} s`);
  }
  return failures.filter((failure) => failure !== undefined);
}

const failures = await fuzz();
for (const failure of failures) console.error(failure);
process.exitCode = failures.length > 0 ? 1 : 0;
