import type { FastifyRequest } from 'fastify'
import { invalid } from './refusals.js'

const LIMIT = 50
const MOST = 1000
const RECENT = 10

const SORTS = ['filename', 'filesize', 'createdat', 'updatedat', 'lastactivity'] as const

export interface TaskQuery {
  /** As a number; two of them no task here ever has. */
  readonly status: number | undefined
  readonly sortBy: typeof SORTS[number]
  readonly descending: boolean
  readonly offset: number
  readonly limit: number
}

/** The query of `tasks`, its names and values in any case, with or without underscores. @throws {TaskRefusal} */
export function taskQuery (request: FastifyRequest): TaskQuery {
  const query = parameters(request)
  return {
    status: statusNamed(query.get('status')),
    sortBy: sortNamed(query.get('sortby')),
    descending: query.get('sortdescending')?.toLowerCase() !== 'false',
    offset: wholeNumber(query, 'offset', 0),
    limit: Math.min(MOST, wholeNumber(query, 'limit', LIMIT))
  }
}

/** @throws {TaskRefusal} */
export function recentLimit (request: FastifyRequest): number {
  return Math.min(MOST, wholeNumber(parameters(request), 'limit', RECENT))
}

function parameters ({ query }: FastifyRequest): Map<string, string> {
  const entries = typeof query === 'object' && query !== null ? Object.entries(query) : []
  return new Map(entries.map(([name, value]) => [plain(name), String(Array.isArray(value) ? value.at(-1) : value)]))
}

function plain (name: string): string {
  return name.replaceAll('_', '').toLowerCase()
}

/** By number or name. */
function statusNamed (value: string | undefined): number | undefined {
  if (value === undefined || value === '') return undefined
  const names = ['pending', 'inprogress', 'paused', 'completed', 'failed', 'cancelled', 'expired']
  const number = /^\d+$/.test(value) ? Number(value) : names.indexOf(plain(value))
  if (names[number] === undefined) throw wrong('status', value)
  return number
}

function sortNamed (value = 'lastactivity'): TaskQuery['sortBy'] {
  const found = SORTS.find(name => name === plain(value))
  if (found === undefined) throw wrong('sortBy', value)
  return found
}

function wholeNumber (query: ReadonlyMap<string, string>, name: string, otherwise: number): number {
  const value = query.get(name) ?? String(otherwise)
  if (!/^\d{1,9}$/.test(value)) throw wrong(name, value)
  return Number(value)
}

function wrong (name: string, value: string): Error {
  return invalid({ [name]: [`The value '${value}' is not valid.`] })
}
