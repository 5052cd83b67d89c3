import type { Upload } from '../../upload.js'
import type { Pool } from './hooks.js'
import type { TaskContext } from './mount.js'
import { findPool } from './policy.js'
import { taskStateOf } from './task.js'

/** The pools of a page of tasks, each asked for once. */
export class Pools {
  readonly #known = new Map<string | null, Promise<Pool | null | undefined>>()
  readonly #context: TaskContext

  constructor (context: TaskContext) { this.#context = context }

  async of (task: Upload): Promise<Pool | null> {
    const { pool_id: id } = taskStateOf(task)
    const pool = this.#known.get(id) ?? findPool(this.#context.mount.settings, id, this.#context.request)
    this.#known.set(id, pool)
    return await pool ?? null
  }
}
