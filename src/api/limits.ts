/** Without a trailing slash. */
export const BASE_PATH = '/prod/v1/trainers/datasets';

/** Marks requests of the page: the id of its session, or 1 while it does not know one. */
export const PAGE_HEADER = 'trainyard-page';

/** For `POST …/upload`; multipart framing does not count. */
export const MAX_DIRECT_BYTES = 150_000_000;

export const MAX_NAMES_PER_REQUEST = 1000;

/** In UTF-8; longer captions are files like any other. */
export const MAX_CAPTION_TEXT_BYTES = 64 * 1024;

export const MAX_PAGE_SIZE = 1000;

/** Few, since the digest of each may have to be computed. */
export const MAX_REVISIONS_PER_PAGE = 100;

/** In UTF-16 code units. */
export const MAX_PIN_NOTE_LENGTH = 500;
export const MAX_PROMPT_LENGTH = 8000;

/** For `GET …/status?wait=`. */
export const MAX_WAIT_SECONDS = 60;

export const MAX_LISTED = 1000;

/** Their upload links are one answer. */
export const MAX_BATCH_FILES = 20_000;

/** The largest batch of names and sizes, also with each character escaped, or 256 captions of the largest size. */
export const MAX_BATCH_BODY_BYTES = 16 * 1024 * 1024;

/** Larger bodies share a memory that requests without a token must not take. */
export const SMALL_BODY_BYTES = 16 * 1024;

/** Each request of the token reads all of them. */
export const MAX_BOUND_DATASETS = 100;

/** Ten years. */
export const MAX_EXPIRY_SECONDS = 3650 * 86_400;

export const MAX_SHARE_SECONDS = 365 * 86_400;
export const DEFAULT_SHARE_SECONDS = 7 * 86_400;
