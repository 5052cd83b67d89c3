// Lets node run the TypeScript of this project: node --import=…/typescript.mjs. What is compiled once, by whichever process comes first, is
// kept in .tap/typescript: a hundred files of tests, a process each, would otherwise compile all of src/ a hundred times.
import { register, syncBuiltinESMExports } from 'node:module'
import workerThreads from 'node:worker_threads'

register('./typescript-hooks.mjs', import.meta.url)

// A thread needs these hooks and none of the runner's, which it would get as well: they treble the time of its start.
const { isMainThread, Worker } = workerThreads
if (isMainThread) {
  workerThreads.Worker = class extends Worker {
    constructor (file, options) {
      super(file, { execArgv: [`--import=${import.meta.url}`], ...options })
    }
  }
  syncBuiltinESMExports()
}
