/** The largest file that `POST …/upload` accepts, in bytes of the file itself; multipart framing does not count. */
export const MAX_DIRECT_BYTES = 150_000_000;

/** Filenames in one request for captions or for an archive. */
export const MAX_NAMES_PER_REQUEST = 1000;

/** Datasets or files on one page. */
export const MAX_PAGE_SIZE = 1000;

/** The longest that `GET …/status?wait=` waits. */
export const MAX_WAIT_SECONDS = 60;

/** Problems and awaited files listed in one answer. */
export const MAX_LISTED = 1000;
