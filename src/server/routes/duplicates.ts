import type { WireDuplicateGroup } from '../../api/schemas.js';
import type { DuplicateGroup } from '../../dataset/duplicates/duplicate-groups.js';
import type { DuplicateService } from '../../service/duplicates/duplicate-service.js';
import type { Handlers } from '../register-routes.js';

export function duplicateHandlers(duplicates: DuplicateService): Handlers<`duplicates.${'list' | 'decide'}`> {
  return {
    'duplicates.list': async ({ key }) => {
      const { groups, pending } = await duplicates.find(key);
      return { groups: groups.map(groupToWire), pending };
    },
    'duplicates.decide': async ({ key, body }) => {
      await duplicates.decide(key, body.filenames, body.different);
      return body;
    },
  };
}

function groupToWire({ keeper, reason, members }: DuplicateGroup): WireDuplicateGroup {
  return {
    keeper: keeper.filename,
    reason,
    members: members.map(({ file, kind, distance }) => {
      const { filename, pixels, sizeBytes } = file;
      return { filename, kind, distance, pixels, size_bytes: sizeBytes };
    }),
  };
}
