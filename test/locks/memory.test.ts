import t from 'tap'
import { memoryLocks } from '../../src/locks/memory.js'
import { lockSuite } from '../../src/testing/locks/suite.js'

lockSuite((name, run) => t.test(name, run), async () => ({ locks: memoryLocks(), dispose: async () => {} }))
