import { z } from 'zod';
import { fromDigits, manifestQuery } from './request-schemas.js';
import { wireManifestLinks } from './pair-schemas.js';
import { wireManifest, wireTime } from './schemas.js';

/** How long a tar link may be valid, in seconds: a minute to a week. */
const [MIN_SECONDS, MAX_SECONDS, DEFAULT_SECONDS] = [60, 7 * 86_400, 3600];

export const tarLinkQuery = manifestQuery.extend({
  seconds: fromDigits(z.int().min(MIN_SECONDS).max(MAX_SECONDS)).default(DEFAULT_SECONDS).meta({
    description: 'How long the link is valid, from a minute to a week. It ends with the token at the latest.',
  }),
});

export const wireTarLink = z
  .object({
    url: z.string().meta({ description: 'The tar archive, without a token.' }),
    sha256sums_url: z.string().meta({ description: 'The list for `sha256sum -c`, without a token.' }),
    script_url: z.string().meta({ description: 'The shell script that mounts the archive of a link.' }),
    expires_at: wireTime,
    ...wireManifest.required().pick({ dataset_id: true, name: true, revision: true, digest: true }).shape,
    links: wireManifestLinks.optional(),
    files: z.int().min(0).meta({ description: 'The number of files, those of linked datasets included.' }),
    bytes: z.int().min(0).meta({ description: 'Their size.' }),
  })
  .meta({ id: 'TarLink' });

export type WireTarLink = z.infer<typeof wireTarLink>;
