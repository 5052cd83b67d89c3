// For `node --import=./scripts/run-typescript.mjs file.ts`. The `tsx` command does the same for the main thread only on
// Node 20; this is inherited by worker threads.
import { register } from 'tsx/esm/api'

register()
