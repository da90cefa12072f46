// The types of the client's own options and results, as it publishes them.

export type { NewTokenRights } from './calls/token-calls.js';
export type { DatasetEvent } from './event-stream.js';
export type { PushOptions, SendBody } from './push.js';
export type { PushFile } from './push-file.js';
export type { PushOutcome, PushProgress, PushResult } from './push-progress.js';
export type { CallOptions, ChangeGroup, ClientOptions, RevisionOptions, WriteOptions } from './requests.js';
export type { WaitOptions } from './wait-until-ready.js';
