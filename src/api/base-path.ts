/** The path under which every endpoint of the API lives; without a trailing slash. */
export const BASE_PATH = '/prod/v1/trainers/datasets';

/** The header by which the page says that a request is its own: the id of its session, or 1 while it does not know one. */
export const PAGE_HEADER = 'trainyard-page';
