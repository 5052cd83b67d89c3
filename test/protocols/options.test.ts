import t from 'tap'
import {
  chunkTasks, contentRange, diskStorage, fileLocks, fileMetadata, formAppend, memoryStorage, rawAppend, resumableHttp, tus
} from '../../src/index.js'
import { encryptedStorage } from '../../src/storage/encrypted/index.js'
import { ffmpeg } from '../../src/ffmpeg/index.js'
import { chunkForm, startServer } from '../support/server.js'

/** Called as JavaScript would, with whatever it likes. */
type Make = (options?: unknown) => unknown
const call = (factory: (...args: never[]) => unknown, ...first: readonly unknown[]): Make =>
  options => Reflect.apply(factory, undefined, options === undefined ? first : [...first, options])

interface Case {
  readonly make: Make
  readonly needed?: Readonly<Record<string, unknown>>
  readonly wrong: Readonly<Record<string, readonly unknown[]>>
  readonly right: Readonly<Record<string, readonly unknown[]>>
}

const hook = (): void => {}
const no = ['no', null, 0]
const notFunctions = ['x', null, {}, 5]
const joiner = { jobs: 2, join: hook }
const hash = { name: 'xor', length: 1, create: hook }

const mount = { name: ['', 5, null], prefix: [5, null] }
const mountRight = { name: ['files'], prefix: ['', '/files'] }
const lifetime = {
  wrong: ['12 h', '5000', '', -1, '-1h', NaN, Infinity, true, false, {}, '99999999w'],
  right: [null, 0, 60_000, '12h', '1.5d']
}
const checksum = { wrong: ['md6', 'MD5', '', true, null, 5, 'toString'], right: [false, 'md5', 'blake3'] }
const baseUrl = { wrong: ['/files', 'ftp://x/', 'https://example.com/?a=b', 'https://example.com#a', '', null, 5], right: ['https://example.com/files'] }
const bytes = { wrong: [0, -1, 0.5, NaN, Infinity, '10', null], right: [1, 2 ** 40] }
const bytesOrNone = { wrong: [-1, 0.5, NaN, Infinity, '10'], right: [0, 10] }
const delay = { wrong: [-1, NaN, Infinity, '5s', null, 2 ** 31], right: [0, 1.5, 2 ** 31 - 1] }

const cases: Readonly<Record<string, Case>> = {
  contentRange: {
    make: call(contentRange),
    wrong: {
      ...mount,
      dialect: ['none', 'toString', null],
      fieldName: ['', [], [5], [''], null, 5],
      checksum: checksum.wrong,
      expirationDelta: lifetime.wrong,
      requireUser: no,
      idFormat: ['base64', null],
      requireContentRange: no,
      requireFilename: no,
      requireComplete: no,
      allowDelete: no,
      baseUrl: baseUrl.wrong,
      fileUrl: notFunctions,
      uploadUrl: notFunctions,
      serialize: notFunctions
    },
    right: {
      ...mountRight,
      baseUrl: baseUrl.right,
      dialect: ['drf', 'chunky', 'parent'],
      fieldName: ['data', ['a', 'b']],
      checksum: checksum.right,
      expirationDelta: lifetime.right,
      requireUser: [true],
      serialize: [hook]
    }
  },
  tus: {
    make: call(tus),
    wrong: {
      ...mount,
      disable: ['creation', null, ['creations'], [5]],
      relativeLocation: no,
      baseUrl: baseUrl.wrong,
      checksumAlgorithms: [
        'sha1', null, ['sha0'], ['toString'], [{ ...hash, name: 'X Y' }], [{ ...hash, length: '1' }], [{ ...hash, create: 5 }]
      ],
      checksum: checksum.wrong,
      expirationDelta: lifetime.wrong,
      terminateFinished: no,
      keepRecords: no,
      deletePartials: ['x', ...no],
      concatenationWait: delay.wrong,
      maxParts: [0, 1.5, '1', null],
      maxWaitingFinals: [0, 1.5, '1', null],
      requireUser: no,
      errorFormat: ['x', null, 'xml']
    },
    right: {
      ...mountRight,
      disable: [[], ['creation']],
      baseUrl: baseUrl.right,
      checksumAlgorithms: [['sha1', hash], [new class { name = 'own'; length = 4; create (): void {} }()]],
      checksum: checksum.right,
      expirationDelta: lifetime.right,
      concatenationWait: delay.right,
      maxParts: [1, 1000],
      maxWaitingFinals: [1, 1000],
      errorFormat: ['text', 'json']
    }
  },
  resumableHttp: {
    make: call(resumableHttp),
    wrong: {
      ...mount,
      minSize: [...bytesOrNone.wrong, null],
      maxAppendSize: bytes.wrong,
      minAppendSize: [...bytesOrNone.wrong, null],
      interim: [true, null, 'always', 5],
      progress: [true, null, 5, { bytes: 0 }, { ms: NaN }, { ms: '5s' }, { byte: 5 }],
      relativeLocation: no,
      baseUrl: baseUrl.wrong,
      checksum: checksum.wrong,
      expirationDelta: lifetime.wrong,
      removeFinished: ['x', ...no],
      requireUser: no
    },
    right: {
      ...mountRight,
      minSize: bytesOrNone.right,
      maxAppendSize: bytes.right,
      interim: ['auto', false],
      progress: [false, {}, { bytes: 5 }, { bytes: undefined, ms: 0.5 }],
      baseUrl: baseUrl.right,
      expirationDelta: lifetime.right
    }
  },
  formAppend: {
    make: call(formAppend),
    wrong: {
      ...mount,
      maxBytes: [...bytesOrNone.wrong, hook],
      expirationDelta: lifetime.wrong,
      checksum: checksum.wrong,
      contentRange: ['x', ...no],
      baseUrl: baseUrl.wrong,
      mediaUrl: [5, null, {}],
      listAnonymous: no
    },
    right: {
      ...mountRight,
      maxBytes: [...bytesOrNone.right, null],
      expirationDelta: lifetime.right,
      checksum: checksum.right,
      baseUrl: baseUrl.right,
      mediaUrl: ['', '/files/', hook]
    }
  },
  rawAppend: {
    make: call(rawAppend),
    wrong: {
      ...mount,
      expirationDelta: lifetime.wrong,
      contentType: [5, null, '', 'video', 'a/b\nc: d'],
      filename: notFunctions,
      join: [null, {}, 'ffmpeg', hook, { jobs: 0, join: hook }, { join: hook }],
      onJoined: notFunctions,
      onJoinFailed: notFunctions
    },
    right: {
      ...mountRight,
      expirationDelta: lifetime.right,
      contentType: ['video/webm', 'video/mp4; codecs="avc1.42E01E"'],
      filename: [hook],
      join: [joiner, ffmpeg()]
    }
  },
  chunkTasks: {
    make: call(chunkTasks),
    wrong: {
      ...mount,
      errorStyle: ['xml', null],
      requireUser: no,
      chunkSize: bytes.wrong,
      minChunkSize: bytes.wrong,
      maxChunkSize: bytes.wrong,
      maxChunks: bytes.wrong,
      dedupe: ['mine', true, null, {}],
      repeats: ['no', null],
      sweepFiles: [0, -1, NaN, Infinity, 2 ** 31, '1h', null],
      directBytes: bytes.wrong,
      encryption: [null, {}, { seal: hook }, 'x'],
      authorize: notFunctions,
      resolvePool: notFunctions,
      resolveBundle: notFunctions,
      quota: notFunctions,
      fileRecord: notFunctions
    },
    right: {
      ...mountRight,
      chunkSize: bytes.right,
      dedupe: ['user', 'all', false, hook],
      sweepFiles: [true, false, 5000],
      encryption: [encryptedStorage(memoryStorage())],
      quota: [hook]
    }
  },
  ffmpeg: {
    make: call(ffmpeg),
    wrong: {
      ffmpeg: ['', 5, null],
      ffprobe: ['', 5, null],
      jobs: [0, -1, 1.5, NaN, '2', null],
      timeout: delay.wrong,
      directory: ['', 5, null],
      encode: notFunctions
    },
    right: { ffmpeg: ['/usr/bin/ffmpeg'], jobs: [1, 4, Infinity], timeout: delay.right, encode: [hook] }
  },
  diskStorage: {
    make: call(diskStorage),
    wrong: {
      directory: ['', 5, null],
      path: [5, null, {}],
      incompleteExt: ['/x', '.location', 5, null],
      completeExt: ['\\x', '\0', 5, null],
      durability: ['x', true, null],
      mode: [-1, 0.5, 0o10000, '666', null]
    },
    right: { directory: ['files'], path: ['', 'x/%Y', hook], completeExt: ['', '.ok'], durability: ['process', 'disk'], mode: [0o600] }
  },
  encryptedStorage: {
    make: call(encryptedStorage, memoryStorage()),
    wrong: {
      segmentSize: bytes.wrong,
      stateSecret: [null, 5, '', 'x'.repeat(31), new Uint8Array(31)],
      scrypt: [
        null, 5, {}, { cost: 16 }, { cost: 15, blockSize: 8, parallelization: 1 }, { cost: 1, blockSize: 8, parallelization: 1 },
        { cost: 16, blockSize: 0, parallelization: 1 }, { cost: 16, blockSize: 8, parallelization: 1, more: 1 }
      ]
    },
    right: {
      segmentSize: [1000],
      stateSecret: ['x'.repeat(32), new Uint8Array(32)],
      scrypt: [{ cost: 16, blockSize: 8, parallelization: 1 }]
    }
  },
  fileMetadata: {
    make: call(fileMetadata),
    needed: { directory: 'records' },
    wrong: { directory: [undefined, '', 5, null], durability: ['x', null], maxOpenFiles: [-1, 0.5, NaN, '5', null] },
    right: { durability: ['disk'], maxOpenFiles: [0, 5, Infinity] }
  },
  fileLocks: {
    make: call(fileLocks),
    needed: { directory: 'locks' },
    wrong: { directory: [undefined, '', 5, null] },
    right: { directory: ['a'] }
  }
}

const code = 'FST_CHUNKED_UPLOAD_INVALID_OPTION'

for (const [factory, { make, needed = {}, wrong, right }] of Object.entries(cases)) {
  t.test(`${factory} refuses what an option cannot be, and says which`, async t => {
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) {
        const error = { code, message: new RegExp(`option "${factory}\\.${name}" must be `) }
        t.throws(() => make({ ...needed, [name]: value }), error, `${name}: ${typeof value} ${JSON.stringify(value) ?? String(value)}`)
      }
    }
  })

  t.test(`${factory} takes what its options can be, and undefined for each default`, async t => {
    for (const [name, values] of Object.entries(right)) {
      for (const value of values) t.doesNotThrow(() => make({ ...needed, [name]: value }), `${name}: ${String(value)}`)
    }
    t.doesNotThrow(() => make({ ...Object.fromEntries(Object.keys(wrong).map(name => [name, undefined])), ...needed }))
  })

  t.test(`${factory} refuses names that it does not know`, async t => {
    for (const name of ['nope', 'maxSize', 'directry', 'toString', '__proto__']) {
      t.throws(() => make(Object.defineProperty({ ...needed }, name, { value: 3, enumerable: true })), {
        code, message: `option "${factory}.${name}" does not exist; the options are `
      })
    }
  })

  t.test(`every option of ${factory} has wrong values above`, async t => {
    try {
      make({ ...needed, nope: undefined })
      t.fail('an unknown name passed')
    } catch (error) {
      const text = error instanceof Error ? error.message : ''
      t.strictSame(text.slice(text.indexOf('the options are ') + 16).split(', ').sort(), Object.keys(wrong).sort())
    }
  })

  t.test(`${factory} refuses options that are none`, async t => {
    for (const options of [null, 'x', 5, [], hook]) t.throws(() => make(options), { code, message: `"${factory}"` }, String(options))
  })
}

t.test('what has to be given is told by its name', async t => {
  for (const [factory, name] of [[fileMetadata, 'directory'], [fileLocks, 'directory'], [encryptedStorage, 'inner']] as const) {
    t.throws(call(factory), { code, message: `"${factory.name}.${name}" must be ` })
  }
  for (const inner of [null, {}, 'disk', { ...memoryStorage(), write: 5 }]) {
    t.throws(() => call(encryptedStorage, inner)(), { code, message: '"encryptedStorage.inner" must be an object with create, write' })
  }
})

t.test('of resumableHttp, what one request may bring is not less than what it must bring', async t => {
  t.throws(() => resumableHttp({ maxAppendSize: 5, minAppendSize: 6 }), { code, message: '"resumableHttp.maxAppendSize" must not be less' })
  resumableHttp({ maxAppendSize: 6, minAppendSize: 6 })
})

t.test('expirationDelta is a duration in every protocol, and goes before that of the registration', async t => {
  for (const [expirationDelta, ms] of [['12h', 43_200_000], [5000, 5000], [null, null]] as const) {
    const server = await startServer(t, {
      prefix: '/',
      expirationDelta: '2d',
      protocols: [
        contentRange({ prefix: '/ranges', expirationDelta }), tus({ prefix: '/tus', expirationDelta }),
        resumableHttp({ prefix: '/http', expirationDelta }), formAppend({ prefix: '/form', expirationDelta }),
        rawAppend({ prefix: '/raw', expirationDelta })
      ]
    }, { directory: t.testdir() })
    const created = [
      await server.send('PUT', '/ranges/', chunkForm('ab', 'bytes 0-1/3')),
      await server.send('POST', '/tus/', { headers: { 'tus-resumable': '1.0.0', 'upload-length': 3 } }),
      await server.send('POST', '/http/', { headers: { 'upload-draft-interop-version': 8, 'upload-complete': '?0' }, body: 'ab' }),
      await server.send('POST', '/form/upload/', chunkForm('ab', undefined)),
      await server.send('POST', '/raw/create_video/')
    ]
    t.ok(created.every(({ status }) => status < 300), created.map(({ status, text }) => `${status} ${text}`).join())
    const lives = new Map<string, number | null>()
    for await (const { protocol, createdAt, expiresAt } of server.app.chunkedUpload.list({ status: 'uploading' })) {
      lives.set(protocol, expiresAt === null ? null : expiresAt - createdAt)
    }
    const names = ['contentRange', 'formAppend', 'rawAppend', 'resumableHttp', 'tus']
    t.strictSame([...lives].sort(), names.map(name => [name, ms]), String(expirationDelta))
    const [, ofTus] = created
    t.equal(Date.parse(ofTus?.headers['upload-expires']?.toString() ?? '') > Date.now(), ms !== null)
  }
})
