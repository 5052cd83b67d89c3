// Ends this process soon after its parent has ended, however that happened: node --import=…/ends-with-parent.mjs. A test runner that is
// killed with kill -9 takes its tests along, and these take their servers along.
import { isMainThread } from 'node:worker_threads'

if (isMainThread) {
  const parent = process.ppid
  setInterval(() => { if (process.ppid !== parent) process.exit(1) }, 250).unref()
}
