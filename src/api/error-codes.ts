import { ERRORS } from '../dataset/errors.js';

/** The service's errors, and those that only a malformed request or the server can cause. */
export const ERROR_NUMBERS = {
  ...ERRORS,
  bad_request: 400000,
  route_not_found: 404003,
  range_not_satisfiable: 416001,
  expectation_failed: 417001,
  headers_too_large: 431001,
  internal: 500000,
} as const;

export type WireErrorCode = keyof typeof ERROR_NUMBERS;

/** `undefined` for a number of another service. */
export function errorCodeOf(number: number): WireErrorCode | undefined {
  return (Object.keys(ERROR_NUMBERS) as WireErrorCode[]).find((name) => ERROR_NUMBERS[name] === number);
}
