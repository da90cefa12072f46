import { join } from 'node:path';
import { discardServer, startServer, type TestServer } from '../../test/harness/server.js';
import type { Backend, Place } from '../backends.js';
import type { Benchmark } from '../bench.js';
import { takeTurns } from '../measure.js';
import { writePhotos } from '../photos.js';
import { figure, told } from '../table.js';
import { upload } from '../uploading.js';

const CONNECTIONS = 8;

/** Direct uploads of JPEGs with captions to servers that keep things elsewhere, against one that has only its folder. */
export const benchPlaces: Benchmark = async ({ folder, isQuick, backends, newPlace, say }) => {
  const images = await writePhotos(folder, isQuick ? 20 : 60);
  const pairs = isQuick ? 100 : 200;
  const combinations: readonly (readonly Backend[])[] = [
    [],
    ...backends.map((backend) => [backend]),
    ...(backends.length > 1 ? [backends] : []),
  ];
  const opened: { place: Place; server: TestServer }[] = [];
  try {
    const contenders: Record<string, () => Promise<number>> = {};
    for (const [i, combination] of combinations.entries()) {
      const place = await newPlace(...combination);
      const server = await startServer({}, { dataFolder: join(folder, `data-${i}`), env: place.env });
      opened.push({ place, server });
      const api = await server.api();
      contenders[place.name] = async () => {
        const { seconds } = await upload(api, { images }, { count: pairs, connections: CONNECTIONS });
        say(`${place.name}: ${figure(pairs / seconds)} pairs/s`);
        return pairs / seconds;
      };
      // A process that has just started compiles its own code while it serves.
      await upload(api, { images }, { count: isQuick ? 200 : 400, connections: CONNECTIONS });
    }
    const rate = await takeTurns(contenders, 3);
    const [own, ...others] = opened.map(({ place }) => place.name);
    return others.map((name) =>
      told({
        what: `direct upload of 200 kB JPEGs with captions, ${name}`,
        measured: `${figure(rate[name]!)} pairs/s`,
        reference: `${own}: ${figure(rate[own!]!)} pairs/s`,
        ratio: rate[name]! / rate[own!]!,
      }),
    );
  } finally {
    for (const { place, server } of opened) {
      await discardServer(server);
      await place.discard();
    }
  }
};
