import { createHash } from 'node:crypto'
import { type Upload, type UploadPhase, phaseOf, reservedBytes } from '../../upload.js'
import type { ListOrder, ListQuery, UploadUsage, UsageQuery } from '../contract.js'

/** Bytes of a file name by which uploads are ordered. */
const NAME_BYTES = 32

/** What orders and sums need of an upload: little enough to keep for all uploads of a user, and to fit into the name of a file. */
export interface Facts {
  readonly id: string
  /** `u` for an unfinished one, `c` for a complete one, else the first letter of why it was removed. */
  readonly state: string
  readonly internal: boolean
  /** Digests; empty for no scope. */
  readonly scope: string
  readonly protocol: string
  /** ms since 1970: of the completion or removal; of the last change while it is unfinished. */
  readonly activity: number
  readonly created: number
  /** Declared bytes; 0 while unknown. */
  readonly size: number
  /** The first bytes of the file name, as hex. */
  readonly name: string
}

const PHASES: ReadonlyMap<string, UploadPhase> = new Map([
  ['c', 'complete'], ['e', 'expired'], ['r', 'removed'], ['i', 'invalid'], ['l', 'lost']
])

export function factsOf (upload: Upload): Facts {
  const { id, status, scope, protocol, internal, createdAt, size, filename } = upload
  return {
    id,
    state: status === 'removed' ? upload.reason.slice(0, 1) : status.slice(0, 1),
    internal: internal === true,
    scope: scope === undefined ? '' : digestOf(scope),
    protocol: digestOf(protocol),
    activity: status === 'complete' ? upload.completedAt : status === 'removed' ? upload.removedAt : upload.updatedAt,
    created: createdAt,
    size: size ?? 0,
    name: Buffer.from(filename).toString('hex', 0, NAME_BYTES)
  }
}

function digestOf (text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 6)
}

/** The facts of a finished upload as the name of a file. */
export function entryOf (upload: Upload): string {
  const { id, state, internal, scope, protocol, activity, created, size, name } = factsOf(upload)
  const numbers = [activity, created, size].map(number => number.toString(36))
  return [id, `${state}${internal ? 'i' : ''}`, scope, protocol, ...numbers, name].join('~')
}

/** The facts that the name tells; undefined for the name of another file. */
export function factsIn (entry: string): Facts | undefined {
  const [id = '', state = '', scope = '', protocol = '', activity = '', created = '', size = '', name] = entry.split('~')
  if (name === undefined) return undefined
  const number = (text: string): number => Number.parseInt(text, 36)
  return {
    id,
    state: state.slice(0, 1),
    internal: state.length > 1,
    scope,
    protocol,
    activity: number(activity),
    created: number(created),
    size: number(size),
    name
  }
}

/** Tells of facts whether their upload passes the query, as far as they tell; the owner is not among them. */
export function factsFilter (query: Pick<ListQuery, 'scope' | 'protocol' | 'internal' | 'status' | 'phases'>): (facts: Facts) => boolean {
  const { internal, status, phases } = query
  const scope = query.scope === undefined ? undefined : digestOf(query.scope)
  const protocol = query.protocol === undefined ? undefined : digestOf(query.protocol)
  return facts => (scope === undefined || facts.scope === '' || facts.scope === scope) &&
    (protocol === undefined || facts.protocol === protocol) &&
    (internal === undefined || facts.internal === internal) &&
    (status === undefined || statusOf(facts) === status) &&
    // Only its record says whether an unfinished one has expired.
    (phases === undefined || facts.state === 'u' || phases.some(phase => phase === finishedPhase(facts)))
}

function statusOf ({ state }: Facts): Upload['status'] {
  return state === 'u' ? 'uploading' : state === 'c' ? 'complete' : 'removed'
}

function finishedPhase ({ state }: Facts): UploadPhase | undefined {
  return PHASES.get(state)
}

/** Texts in whose order uploads come. */
export function orderKey (facts: Facts, by: ListOrder['by']): string {
  const value = by === 'filename' ? facts.name : facts[by].toString(36).padStart(11, '0')
  // Less than all that can stand in a value.
  return `${value}!${facts.id}`
}

/** The sum of some uploads. */
export class UsageSum {
  readonly #now: number
  readonly #counts: Record<UploadPhase, number> = { open: 0, overdue: 0, complete: 0, expired: 0, removed: 0, invalid: 0, lost: 0 }
  #bytes = 0
  #reserved = 0

  constructor ({ now }: UsageQuery) {
    this.#now = now
  }

  get usage (): UploadUsage {
    return { counts: { ...this.#counts }, bytes: this.#bytes, reserved: this.#reserved }
  }

  add (upload: Upload): void {
    if (upload.status !== 'uploading') return this.addFinished(factsOf(upload))
    const bytes = upload.received.reduce((sum, [start, end]) => sum + end - start, 0)
    this.#counts[phaseOf(upload, this.#now)]++
    this.#bytes += bytes
    this.#reserved += reservedBytes(upload)
  }

  addFinished (facts: Facts): void {
    const phase = finishedPhase(facts)
    if (phase === undefined) return
    this.#counts[phase]++
    if (phase !== 'complete') return
    this.#bytes += facts.size
    this.#reserved += facts.size
  }
}
