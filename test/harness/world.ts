import { newDatabase } from './postgres.js';
import { newPlace, s3Environment } from './s3.js';

/** An empty database and bucket prefix for a server under test, beside its data folder. */
export interface World {
  readonly env: Record<string, string>;
  readonly discard: () => Promise<void>;
}

const NOTHING: World = { env: {}, discard: async () => {} };

async function inBucket(parameters?: Record<string, string>): Promise<World> {
  const env = await s3Environment();
  const place = newPlace();
  return { env: { ...env, BLOBS_URL: place.url(parameters) }, discard: place.empty };
}

const PARTS: Record<string, () => Promise<World>> = {
  sqlite: async () => NOTHING,
  disk: async () => NOTHING,
  postgres: async () => {
    const { url, drop } = await newDatabase();
    return { env: { DATABASE_URL: url }, discard: drop };
  },
  s3: () => inBucket({ presign: 'false' }),
  /** As `s3`, with presigned links to the bucket, which is the default. */
  presigned: () => inBucket(),
};

/** @param combination as `COMBINATIONS` names them */
export async function newWorld(combination: string): Promise<World> {
  const parts = combination.split('+').map((name) => {
    const make = PARTS[name];
    if (make === undefined) throw new Error(`There is no backend ${name}.`);
    return make();
  });
  const worlds = await Promise.all(parts);
  return {
    env: Object.assign({}, ...worlds.map((world) => world.env)),
    discard: async () => {
      await Promise.all(worlds.map((world) => world.discard()));
    },
  };
}
