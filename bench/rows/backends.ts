import { join } from 'node:path';
import { discardServer, startServer, type TestServer } from '../../test/harness/server.js';
import type { Backend, EmptyInstallation } from '../backends.js';
import type { Benchmark } from '../bench.js';
import { alternate } from '../measure.js';
import { writePhotos } from '../photos.js';
import { formatFigure, rowWithoutTarget } from '../table.js';
import { upload } from '../uploading.js';

const CONNECTIONS = 8;

/** Direct uploads of JPEGs with captions to servers on Postgres, S3 or both, compared with one on SQLite and disk. */
export const benchBackends: Benchmark = async ({ folder, isQuick, backends, newInstallation, log }) => {
  const images = await writePhotos(folder, isQuick ? 20 : 60);
  const pairs = isQuick ? 100 : 200;
  const combinations: readonly (readonly Backend[])[] = [
    [],
    ...backends.map((backend) => [backend]),
    ...(backends.length > 1 ? [backends] : []),
  ];
  const opened: { installation: EmptyInstallation; server: TestServer }[] = [];
  try {
    const contenders: Record<string, () => Promise<number>> = {};
    for (const [i, combination] of combinations.entries()) {
      const installation = await newInstallation(...combination);
      const server = await startServer({}, { dataFolder: join(folder, `data-${i}`), env: installation.env });
      opened.push({ installation, server });
      const api = await server.api();
      contenders[installation.name] = async () => {
        const { seconds } = await upload(api, { images }, { count: pairs, connections: CONNECTIONS });
        log(`${installation.name}: ${formatFigure(pairs / seconds)} pairs/s`);
        return pairs / seconds;
      };
      // Warms up: a new process still compiles its own code.
      await upload(api, { images }, { count: isQuick ? 200 : 400, connections: CONNECTIONS });
    }
    const rate = await alternate(contenders, 3);
    const [base, ...others] = opened.map(({ installation }) => installation.name);
    return others.map((name) =>
      rowWithoutTarget({
        what: `direct upload of 200 kB JPEGs with captions, ${name}`,
        measured: `${formatFigure(rate[name]!)} pairs/s`,
        reference: `${base}: ${formatFigure(rate[base!]!)} pairs/s`,
        ratio: rate[name]! / rate[base!]!,
      }),
    );
  } finally {
    for (const { installation, server } of opened) {
      await discardServer(server);
      await installation.discard();
    }
  }
};
