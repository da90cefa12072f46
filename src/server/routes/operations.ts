import type { Registry } from 'prom-client';
import { untilAborted, withTimeout } from '../../abort-signals.js';
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
      await withTimeout(READY_TIMEOUT_MS, (late) => untilAborted(checkOnce(), late)).catch((cause) => {
        throw new ServiceError('unavailable', 'The catalog or the blob store does not answer.', { cause });
      });
      const upload_links_to = hasPresignedLinks ? 'bucket' : 'service';
      return { status: 'ready', ffmpeg: (await ffmpeg()) ?? null, upload_links_to };
    },
    'service.metrics': async ({ reply }) => reply.type(registry.contentType).send(await registry.metrics()),
  } satisfies Partial<Handlers>;
}
