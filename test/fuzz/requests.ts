import fc from 'fast-check';
import type { ApiDocument, Operation } from './document.js';
import {
  type Content,
  type Credentials,
  contentOf,
  credentialsOf,
  headersOf,
  type Headers,
  methodOf,
  type Pairs,
  pathOf,
  queryOf,
} from './request-parts.js';

/** A request in which names such as `__TOKEN__` stand for values that differ from server to server (`fixture.ts`). */
export interface FuzzRequest {
  readonly method: string;
  /** The request target, with its query. */
  readonly path: string;
  readonly headers: Headers;
  readonly body: Buffer | undefined;
}

/** Requests of an operation: valid ones, ones with a hostile part, and ones in which any part may be hostile. */
export function requestsOf(operation: Operation, document: ApiDocument): fc.Arbitrary<FuzzRequest> {
  const { path, parameters } = operation;
  const parts = [
    methodOf(operation),
    pathOf(operation),
    queryOf(parameters, document),
    headersOf(parameters),
    credentialsOf(operation),
    contentOf(operation, document),
  ] as const;
  const choices = parts.map(({ valid, hostile }) =>
    fc.record<{ valid: unknown; hostile: unknown }>({ valid, hostile }),
  );
  const all = 2 ** parts.length - 1;
  // A bit is set for each hostile part.
  const mask = fc.oneof(
    { weight: 3, arbitrary: fc.constant(0) },
    { weight: 4, arbitrary: fc.constantFrom(...parts.map((_, index) => 2 ** index)) },
    { weight: 2, arbitrary: fc.nat(all) },
  );
  return fc.tuple(mask, fc.tuple(...choices)).map(([hostile, chosen]) => {
    const values = chosen.map((choice, index) => (hostile & (2 ** index) ? choice.hostile : choice.valid));
    const [method, filled, query, headers, credentials, content] = values as [
      string,
      Record<string, string>,
      Pairs,
      Headers,
      Credentials,
      Content,
    ];
    const target = path.replaceAll(/\{(\w+)\}/g, (_, name) => filled[name] ?? '');
    const pairs = [...query, ...credentials.query];
    return {
      method,
      path: pairs.length === 0 ? target : `${target}?${pairs.join('&')}`,
      headers: [...credentials.headers, ...headers, ...content.headers],
      body: content.body,
    };
  });
}
