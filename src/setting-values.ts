import { isIP } from 'node:net';

/* Each throws an Error whose message completes "SETTING ". */

export function wholeNumber({ min, max }: { min: number; max: number }) {
  return (text: string): number => {
    const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (!(number >= min && number <= max)) throw new Error(`must be a whole number from ${min} to ${max}`);
    return number;
  };
}

export function oneOf(choices: readonly string[]) {
  return (text: string): string => {
    if (!choices.includes(text)) throw new Error(`must be one of ${choices.join(', ')}`);
    return text;
  };
}

export function httpUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^https?:$/.test(url.protocol) || url.search !== '' || url.hash !== '') {
    throw new Error('must be an http or https URL without query and fragment');
  }
  return url.href.replace(/\/+$/, '');
}

export function postgresUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !/^postgres(ql)?:$/.test(url.protocol)) {
    throw new Error('must be a URL such as postgres://user:password@host:5432/database');
  }
  const poolSize = url.searchParams.get('pool_size');
  if (poolSize !== null && !/^[1-9]\d{0,3}$/.test(poolSize)) throw new Error('must have a pool_size from 1 to 9999');
  return text;
}

export function addressList(text: string): string[] {
  return listOf(text, isAddress, 'IP addresses or networks such as 10.0.0.0/8');
}

/** At least one character is a letter, so that a mistyped address does not count as a name. */
const HOST_NAME = /^(?=.*[a-z])[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*$/i;

export function hostList(text: string): string[] {
  const isHost = (item: string) => isAddress(item) || (item.length <= 253 && HOST_NAME.test(item));
  return listOf(text, isHost, 'names of hosts, IP addresses or networks such as 10.0.0.0/8');
}

function listOf(text: string, isValid: (item: string) => boolean, kind: string): string[] {
  const items = text.split(',').map((item) => item.trim());
  if (!items.every(isValid)) throw new Error(`must be ${kind}, separated by commas`);
  return items;
}

/** An address, or a network in CIDR notation. */
function isAddress(item: string): boolean {
  const [address = '', bits, ...rest] = item.split('/');
  const family = isIP(address);
  const isPrefix = bits === undefined || (/^\d+$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128));
  return family !== 0 && isPrefix && rest.length === 0;
}
