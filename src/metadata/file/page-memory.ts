import type { ListQuery } from '../contract.js'

/** Lists that are remembered, and the ms for which each is. */
const MOST = 4
const TIME = 60_000

interface Rest<T> {
  readonly items: readonly T[]
  readonly until: number
}

/** What is left of a list after a page of it, so that the next page need not look for it again. What it has not is read again. */
export class PageMemory<T> {
  readonly #rests = new Map<string, Rest<T>>()

  keep (query: ListQuery, cursor: string, items: readonly T[]): void {
    for (const [key, { until }] of this.#rests) {
      if (this.#rests.size >= MOST || until < Date.now()) this.#rests.delete(key)
    }
    this.#rests.set(keyOf(query, cursor), { items, until: Date.now() + TIME })
  }

  take (query: ListQuery): readonly T[] | undefined {
    if (query.cursor === undefined) return undefined
    const key = keyOf(query, query.cursor)
    const rest = this.#rests.get(key)
    this.#rests.delete(key)
    return rest === undefined || rest.until < Date.now() ? undefined : rest.items
  }
}

/** Equal for the pages of one list. */
function keyOf ({ limit, offset, ...query }: ListQuery, cursor: string): string {
  return JSON.stringify([Object.entries({ ...query, cursor }).sort(([one], [other]) => one < other ? -1 : 1)])
}
