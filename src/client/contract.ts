import type { z } from 'zod';
import { type AnswerOf, type ParamsOf, ROUTES, type Route, type RouteName } from '../api/routes.js';
import { type WireDatasetChange, wireDatasetChange } from '../api/event-schemas.js';
import { faultsIn } from '../api/values.js';
import { queryOf } from './download-links.js';
import { invalidAnswer } from './answers.js';

/* Loaded for the first call: the schemas take a third of the start of a command. */

/** The method of a route, and its target after the API's base path. */
export function addressOf<N extends RouteName>(
  name: N,
  params: ParamsOf<N>,
  query: Readonly<Record<string, unknown>> = {},
): { method: string; target: string } {
  const [method = '', path = ''] = ROUTES[name].at.split(' ');
  const values = params as Readonly<Record<string, string | number>>;
  const target = path.replaceAll(/:(\w+)/g, (_, parameter) => encodeURIComponent(values[parameter] ?? ''));
  return { method, target: `${target}${queryOf(query)}` };
}

/** @param given the parameters of the path in order, then the body or else the query, then options */
export function callOf<N extends RouteName>(name: N, given: readonly unknown[]): { params: ParamsOf<N> } {
  const { at, body, query }: Route = ROUTES[name];
  const names = [...at.matchAll(/:(\w+)/g)].map(([, parameter = '']) => parameter);
  const params = Object.fromEntries(names.map((parameter, i) => [parameter, given[i]])) as ParamsOf<N>;
  const [input, options] = given.slice(names.length);
  if (body !== undefined) return { params, ...{ body: input }, ...(options as object) };
  return query === undefined
    ? { params, ...(input as object) }
    : { params, ...{ query: input }, ...(options as object) };
}

/** @throws TrainyardError if it is no answer of the route */
export function checkedAnswer<N extends RouteName>(name: N, answer: unknown): AnswerOf<N> {
  const row: Route = ROUTES[name];
  return checked((row.accepted ?? row.answer) as z.ZodType<AnswerOf<N>>, answer);
}

/** @throws TrainyardError if it is no event of a dataset or an account */
export function datasetChangeOf(event: unknown): WireDatasetChange {
  return checked(wireDatasetChange, event);
}

/** Fields that the schema does not have stay; a null where it has none counts as missing. @throws TrainyardError */
function checked<S extends z.ZodType>(schema: S, answer: unknown): z.output<S> {
  const { error } = schema.safeParse(answer);
  if (error === undefined) return answer as z.output<S>;
  if (error.issues.filter(({ path }) => removeNull(answer, path)).length > 0) return checked(schema, answer);
  const [{ path, message } = { path: '', message: 'is not valid' }] = faultsIn(error);
  throw invalidAnswer(200, `${path || 'it'} ${message.replace(/^Invalid (input|string|value): /, 'is not valid: ')}.`);
}

/** @returns false if the path does not end in a field that is null */
function removeNull(answer: unknown, path: readonly PropertyKey[]): boolean {
  let holder = answer as Record<PropertyKey, unknown>;
  for (const key of path.slice(0, -1)) holder = holder[key] as typeof holder;
  const name = path.at(-1);
  return name !== undefined && holder[name] === null && delete holder[name];
}
