import type { Compilable, CompiledQuery } from 'kysely';
import type { Query } from './database.js';

/** Each execution supplies a value under this name. */
class Parameter {
  readonly name: PropertyKey;

  constructor(name: PropertyKey) {
    this.name = name;
  }
}

/** Makes a parameter, typed as its value so that the query builder accepts it. */
export type ParameterOf<Values> = <Name extends keyof Values>(name: Name) => Values[Name];

/** Builds and compiles a statement once for each database, which takes longer than to run it in SQLite. */
export function preparedStatement<Values extends object, Row>(
  build: (query: Query, parameter: ParameterOf<Values>) => Compilable<Row>,
): (query: Query, values: Values) => Compilable<Row> {
  const compiledFor = new WeakMap<Query, CompiledQuery<Row>>();
  return (query, values) => {
    const compiled = compiledFor.get(query) ?? build(query, (name) => new Parameter(name) as never).compile();
    compiledFor.set(query, compiled);
    const parameters = compiled.parameters.map((value) =>
      value instanceof Parameter ? values[value.name as keyof Values] : value,
    );
    return { compile: () => ({ ...compiled, parameters }) };
  };
}
