/** The largest file that `POST …/upload` accepts, in bytes of the file itself; multipart framing does not count. */
export const MAX_DIRECT_BYTES = 150_000_000;

/** Filenames in one request for captions or for an archive. */
export const MAX_NAMES_PER_REQUEST = 1000;

/** A caption that is read or saved as text, in bytes of UTF-8. Longer ones are files like any other. */
export const MAX_CAPTION_TEXT_BYTES = 64 * 1024;

/** Datasets or files on one page. */
export const MAX_PAGE_SIZE = 1000;

/** Revisions on one page. The digest of each may have to be computed. */
export const MAX_REVISIONS_PER_PAGE = 100;

/** The note of a pin, in UTF-16 code units. */
export const MAX_PIN_NOTE_LENGTH = 500;

/** The longest that `GET …/status?wait=` waits. */
export const MAX_WAIT_SECONDS = 60;

/** Problems and awaited files listed in one answer. */
export const MAX_LISTED = 1000;

/** Files in one request for upload links: their links are one answer. */
export const MAX_BATCH_FILES = 20_000;

/** The body of a request for upload links: the largest batch of names and sizes, also with each character escaped. */
export const MAX_BATCH_BODY_BYTES = 16 * 1024 * 1024;

/** The body of a request that saves captions: 256 captions of the largest size. */
export const MAX_CAPTIONS_BODY_BYTES = 16 * 1024 * 1024;

/**
 * Larger bodies share the memory for bodies. A request without a token may not have one, or it could take the memory from
 * those with a token.
 */
export const SMALL_BODY_BYTES = 16 * 1024;

/** Datasets that a token may be bound to. Each request reads all of them. */
export const MAX_BOUND_DATASETS = 100;

/** The longest time after which a new token expires: ten years. */
export const MAX_EXPIRY_SECONDS = 3650 * 86_400;

/** The longest time, and the usual one, after which a share link expires. */
export const MAX_SHARE_SECONDS = 365 * 86_400;
export const DEFAULT_SHARE_SECONDS = 7 * 86_400;
