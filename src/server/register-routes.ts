import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { z } from 'zod';
import { revisionNumber } from '../api/request-schemas.js';
import {
  type AnswerOf,
  type BodyOf,
  type ParamsOf,
  type QueryOf,
  ROUTES,
  type Route,
  type RouteName,
} from '../api/routes.js';
import { faultsIn, rawName } from '../api/values.js';
import { ServiceError } from '../dataset/errors.js';
import type { DatasetKey } from '../service/datasets.js';

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Absent for the page, its files and the OpenAPI document. */
    route?: RouteName;
  }
}

interface RouteInput<N extends RouteName> {
  readonly params: ParamsOf<N>;
  readonly query: QueryOf<N>;
  readonly body: BodyOf<N>;
  readonly key: ParamsOf<N> extends { id: string } ? DatasetKey : undefined;
  readonly accountId: string;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

export type Handlers = {
  readonly [K in RouteName]: (input: RouteInput<K>) => Promise<AnswerOf<K> | FastifyReply | undefined>;
};

/** A request can have an error for each field. */
const MAX_REPORTED_FAULTS = 100;

/** `undefined` for the page, its files and the OpenAPI document. */
export function rowOf({ routeOptions }: Pick<FastifyRequest, 'routeOptions'>): Route | undefined {
  const { route } = routeOptions.config;
  return route && ROUTES[route];
}

/** A token that only reads may send it. */
export function isRead({ method, routeOptions }: Pick<FastifyRequest, 'method' | 'routeOptions'>): boolean {
  return method === 'GET' || method === 'HEAD' || rowOf({ routeOptions })?.access !== undefined;
}

export function registerRoutes(scope: FastifyInstance, handlers: Handlers, isIn: (row: Route) => boolean): void {
  for (const [name, row] of Object.entries(ROUTES) as [RouteName, Route][]) {
    if (!isIn(row)) continue;
    const [method = '', url = ''] = row.at.split(' ');
    const handler = handlers[name] as (input: object) => Promise<unknown>;
    const params = paramsSchemaOf(url);
    scope.route({
      ...{ method, url },
      config: { route: name },
      ...(row.maxBodyBytes !== undefined && { bodyLimit: row.maxBodyBytes }),
      handler: async (request, reply) => {
        const given = parsed(params, request.params);
        const body = row.body === undefined || row.bodyType !== undefined ? undefined : parsed(row.body, request.body);
        const query = row.query === undefined ? {} : parsed(row.query, request.query);
        const { accountId } = request;
        const key = 'id' in given ? { accountId, id: given.id } : undefined;
        return handler({ params: given, query, body, key, accountId, request, reply });
      },
    });
  }
}

export function paramsSchemaOf(path: string): z.ZodObject {
  const names = [...path.matchAll(/:(\w+)/g)].map(([, name = '']) => name);
  return z.object(Object.fromEntries(names.map((name) => [name, name === 'number' ? revisionNumber : rawName])));
}

/** @throws ServiceError `invalid_field` */
function parsed<S extends z.ZodType>(schema: S, value: unknown): z.output<S> {
  const { success, data, error } = schema.safeParse(value);
  if (success) return data;
  const detail = faultsIn(error).slice(0, MAX_REPORTED_FAULTS);
  const [{ path, message } = { path: '', message: 'is not valid' }] = detail;
  throw new ServiceError('invalid_field', `The request is not valid. ${path && `${path}: `}${message}`, { detail });
}
