/** What takes longer hangs. On a busy machine, an upload with its checks can take more than a minute. */
export const HANGS_AFTER_MS = 240_000;
