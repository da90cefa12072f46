import type { Compilable, CompiledQuery } from 'kysely';
import type { Query } from './database.js';

/** Stands in a statement for a value that each use of it brings. */
class Parameter {
  readonly valueFrom: (input: never) => unknown;

  constructor(valueFrom: (input: never) => unknown) {
    this.valueFrom = valueFrom;
  }
}

/** Makes the stand-in for what `valueFrom` takes from the input. */
export type ParameterOf<Input> = <T>(valueFrom: (input: Input) => T) => T;

/**
 * A statement whose text is always the same: built and compiled once for each database, which costs more than running it on
 * SQLite does, and from then on only filled in.
 */
export function preparedStatement<Input, Row>(
  build: (query: Query, slot: ParameterOf<Input>) => Compilable<Row>,
): (query: Query, input: Input) => Compilable<Row> {
  const compiledFor = new WeakMap<Query, CompiledQuery<Row>>();
  return (query, input) => {
    const compiled = compiledFor.get(query) ?? build(query, (valueFrom) => new Parameter(valueFrom) as never).compile();
    compiledFor.set(query, compiled);
    const parameters = compiled.parameters.map((value) =>
      value instanceof Parameter ? value.valueFrom(input as never) : value,
    );
    return { compile: () => ({ ...compiled, parameters }) };
  };
}
