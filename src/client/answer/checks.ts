// Checks of the values in answers, from which `answer-shape.ts` builds those of whole answers.

/** Checks a parsed JSON value. @returns what is wrong with it, beginning with its path; `undefined` if it is valid */
export type Check = (value: unknown, path: string) => string | undefined;

export function typed(name: string, accepts: (value: unknown) => boolean): Check {
  return (value, path) =>
    accepts(value) ? undefined : `${path || 'it'} is ${value === undefined ? 'missing' : `not ${name}`}`;
}

export const text = typed('a text', (value) => typeof value === 'string');
export const number = typed('a number', Number.isFinite);
export const size = typed('a number of bytes', (value) => Number.isSafeInteger(value) && (value as number) >= 0);
export const flag = typed('true or false', (value) => typeof value === 'boolean');
export const textOrNull = typed('a text', (value) => value === null || typeof value === 'string');
export const sha256 = typed('a SHA-256', (value) => typeof value === 'string' && /^[0-9a-f]{64}$/.test(value));
export const time = typed('a time', (value) => typeof value === 'string' && /^\d{4}-\d\d-\d\dT\d\d:\d\d/.test(value));
export const etag = typed('an ETag', (value) => typeof value === 'string' && /^"[\x21\x23-\x7e]{1,200}"$/.test(value));
export const status = typed('a status', (value) => ['DRAFT', 'UPLOADING', 'READY', 'FAILED'].includes(value as string));

export function listOf(check: Check): Check {
  return (value, path) => {
    if (!Array.isArray(value)) return `${path || 'it'} is ${value === undefined ? 'missing' : 'not a list'}`;
    for (const [index, item] of value.entries()) {
      const fault = check(item, `${path}[${index}]`);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
}

/** A list of objects of which no two have the same value in one of these fields. */
export function uniqueListOf(check: Check, fields: readonly string[]): Check {
  return (value, path) => {
    const fault = listOf(check)(value, path);
    if (fault !== undefined) return fault;
    for (const field of fields) {
      const seen = new Set<unknown>();
      for (const item of value as Record<string, unknown>[]) {
        if (seen.has(item[field])) return `${path} has ${JSON.stringify(item[field])} twice`;
        seen.add(item[field]);
      }
    }
    return undefined;
  };
}

export function object(required: Record<string, Check>, optional: Record<string, Check> = {}): Check {
  const checks = Object.entries({ ...required, ...optional });
  return (value, path) => {
    if (!isObject(value)) return `${path || 'it'} is ${value === undefined ? 'missing' : 'not an object'}`;
    for (const [name, check] of checks) {
      const fault = check(value[name], path === '' ? name : `${path}.${name}`);
      if (fault === undefined) continue;
      if (name in required || (value[name] ?? undefined) !== undefined) return fault;
      delete value[name];
    }
    return undefined;
  };
}

export function orNull(check: Check): Check {
  return (value, path) => (value === null ? undefined : check(value, path));
}

export function mapOf(check: Check): Check {
  return (value, path) => {
    if (!isObject(value)) return `${path || 'it'} is ${value === undefined ? 'missing' : 'not an object'}`;
    for (const [name, item] of Object.entries(value)) {
      const fault = check(item, `${path}[${JSON.stringify(name)}]`);
      if (fault !== undefined) return fault;
    }
    return undefined;
  };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export const urlText = typed('an HTTP URL', (value) => {
  const url = typeof value === 'string' && URL.canParse(value) ? new URL(value) : undefined;
  return url !== undefined && /^https?:$/.test(url.protocol) && url.username === '' && url.password === '';
});
