/** The path under which every endpoint of the API lives; without a trailing slash. */
export const BASE_PATH = '/prod/v1/trainers/datasets';
