import type { Author } from '../../src/dataset/dataset.js';

/** Of changes whose author does not matter. */
export const laptop: Author = { tokenId: 'a1', tokenName: 'laptop', how: 'upload', changeId: null };
