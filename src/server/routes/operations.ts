import { setTimeout as wait } from 'node:timers/promises';
import type { Registry } from 'prom-client';
import { ServiceError } from '../../dataset/errors.js';
import type { Ffmpeg } from '../../service/inspection/clip/ffmpeg.js';
import type { Handlers } from '../register-routes.js';

/** Load balancers probe every few seconds; a hanging database may take longer to fail. */
const READY_TIMEOUT_MS = 5000;

interface OperationServices {
  readonly checkReady: () => Promise<unknown>;
  readonly registry: Registry;
  readonly ffmpeg: () => Promise<Ffmpeg | undefined>;
  readonly hasPresignedLinks: boolean;
}

export function operationHandlers({ checkReady, registry, ffmpeg, hasPresignedLinks }: OperationServices) {
  let checking: Promise<unknown> | undefined;
  /** Joins a running check: probes need no token, and each check writes to the store. */
  const checkOnce = () => {
    checking ??= checkReady().finally(() => {
      checking = undefined;
    });
    return checking;
  };
  return {
    'service.health': async () => ({ status: 'ok' }),
    'service.ready': async () => {
      const answered = new AbortController();
      const timeout = wait(READY_TIMEOUT_MS, undefined, { signal: answered.signal }).then(() => {
        throw new Error(`No answer within ${READY_TIMEOUT_MS} ms.`);
      });
      await Promise.race([checkOnce(), timeout])
        .catch((error) => {
          throw new ServiceError('unavailable', 'The catalog or the blob store does not answer.', { cause: error });
        })
        .finally(() => answered.abort());
      const upload_links_to = hasPresignedLinks ? 'bucket' : 'service';
      return { status: 'ready', ffmpeg: (await ffmpeg()) ?? null, upload_links_to };
    },
    'service.metrics': async ({ reply }) => reply.type(registry.contentType).send(await registry.metrics()),
  } satisfies Partial<Handlers>;
}
