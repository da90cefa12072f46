import { readFile } from 'node:fs/promises';

/** The kernel's random ID of the current boot (random(4)); `null` on other systems than Linux. */
export async function bootId(): Promise<string | null> {
  return readFile('/proc/sys/kernel/random/boot_id', 'utf8').then(
    (text) => text.trim(),
    () => null,
  );
}
