import t from 'tap'
import { memoryMetadata } from '../../src/metadata/memory.js'
import { metadataSuite } from '../../src/testing/metadata/suite.js'

metadataSuite((name, run) => t.test(name, run), async () => ({ metadata: memoryMetadata(), dispose: async () => {} }))
