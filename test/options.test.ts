import t from 'tap'
import { type ChunkedUploadOptions, checkOptions, milliseconds, routeOptionsOf } from '../src/options.js'
import { memoryLocks } from '../src/locks/memory.js'
import { memoryMetadata } from '../src/metadata/memory.js'
import { memoryStorage } from '../src/storage/memory.js'
import { tiny } from './support/tiny-protocol.js'

const wrong: ReadonlyArray<readonly [name: string, values: readonly unknown[], text: RegExp]> = [
  ['name', ['', 5, null], /must be a string that is not empty/],
  ['scope', ['', 5, null], /must be a string that is not empty/],
  ['protocols', [[], null, {}, tiny(), [{}], [{ name: '', prefix: '', register () {} }], [{ name: 'x', register () {} }]], /list of protocols/],
  ['directory', ['', 5, null], /must be a string that is not empty/],
  ['path', ['', 5, null], /strftime pattern or a function/],
  ['completeExt', ['', 5, null, 'a/b', 'a\\b', '.\0', '.location'], /ending of a file/],
  ['incompleteExt', ['', 5, null, '/', '.location'], /ending of a file/],
  ['durability', ['', true, null, 'always', 'toString'], /must be 'process' or 'disk'/],
  ['storage', [null, 'disk', [], {}, { ...memoryStorage(), read: 5 }, { ...memoryStorage(), capabilities: null }], /an object with create, write/],
  ['metadata', [null, 'file', {}, memoryStorage()], /an object with create, get/],
  ['locks', [null, 'memory', {}, memoryMetadata()], /an object with acquire/],
  ['expirationDelta', [0, -1, NaN, Infinity, '', '1', '1 d', '-1d', '1y', 'd', '1e3s', false, true, [], {}, '99999999w'], /null for never/],
  ['expirationFrom', ['', null, 'start'], /must be 'creation' or 'activity'/],
  ['sweepInterval', [0, -1, NaN, true, null, '5w', 2 ** 31], /at most 24 days; false for never/],
  ['lockTimeout', [-1, NaN, null, true, '', [], '25d'], /0 or more, at most 24 days/],
  ['bodyMemory', [0, -1, 0.5, '64', null], /whole number/],
  ['stallTimeout', [-1, NaN, null, false, '', '25d'], /0 for never/],
  ['minRate', [-1, NaN, 0.5, null, '10kB'], /minRate/],
  ['maxBodyTime', [-1, NaN, null, false, '', '25d'], /0 for never/],
  ['checksum', [true, null, '', 'MD5', 'toString', 5], /must be false or one of md5, sha1/],
  ['maxBytes', [-1, 1.5, NaN, Infinity, '5', true, {}], /must be a whole number of bytes, null for no limit, or a function of the request/],
  ['maxStored', [-1, 1.5, NaN, Infinity, '5', true, {}], /must be a whole number of bytes, null for no limit, or a function of the request/],
  ['maxOpenUploads', [-1, 1.5, NaN, '5', true, () => 5], /must be a whole number/],
  ['allowedTypes', ['image/*', null, [5], [''], true, ['image'], ['*'], ['*/png'], ['image/'], ['image/png; q=1'], [' image/png']], /media types.* or a function/],
  ['detectType', ['x', null, {}], /must be a function/],
  ['fieldName', ['', [], [5], [''], null, {}], /a name or a list of names/],
  ['user', ['ann', null, {}], /must be a function/],
  ['userRestricted', ['no', null, 0], /must be true or false/],
  ['requireUser', ['no', null, 1], /must be true or false/],
  ['onCreate', ['x', null, {}], /must be a function/],
  ['onComplete', ['x', null, {}], /must be a function/],
  ['onRemove', ['x', null, {}], /must be a function/],
  ['onExpire', ['x', null, {}], /must be a function/],
  ['location', ['x', null, {}], /must be a function/],
  ['baseUrl', ['', '/files', 'ftp://x', 'https://example.com?a', 5, null, {}], /must be an absolute URL of http or https/],
  ['downloads', ['yes', null, [], { inline: 'image/*' }, { inline: [5] }, { inlines: [] }, { inline: ['image'] }, { inline: ['*/*'] }], /true, false or \{ inline/],
  ['routeOptions', ['x', null, [], { handler () {} }, { url: '/' }, { method: 'GET' }, { errorHandler () {} }, { validatorCompiler () {} }], /without method, url/],
  ['prefix', [5, null, {}], /must be a string/]
]

for (const [name, values, text] of wrong) {
  for (const value of values) {
    t.test(`option ${name} must not be ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`, async t => {
      const options: ChunkedUploadOptions = Object.fromEntries([[name, value]])
      t.throws(() => { checkOptions(options) }, { code: 'FST_CHUNKED_UPLOAD_INVALID_OPTION', message: `option "${name}"` })
      t.throws(() => { checkOptions(options) }, { message: text })
    })
  }
}

t.test('every option that exists has wrong values above', async t => {
  const unknown: ChunkedUploadOptions = Object.fromEntries([['maxByte', 5]])
  try {
    checkOptions(unknown)
    t.fail('an unknown name passed')
  } catch (error) {
    const text = error instanceof Error ? error.message : ''
    t.match(text, /option "maxByte" does not exist; the options are /)
    const [, listed = ''] = text.split('the options are ')
    const names = listed.split(', ').filter(name => !['logLevel', 'logSerializers'].includes(name))
    t.strictSame(names.sort(), wrong.map(([name]) => name).sort())
  }
})

t.test('names of Object.prototype are not options', async t => {
  for (const name of ['constructor', 'toString', '__proto__']) {
    const options: ChunkedUploadOptions = JSON.parse(`{ "${name}": 1 }`)
    t.throws(() => { checkOptions(options) }, { message: `option "${name}" does not exist` })
  }
})

const right: ReadonlyArray<Partial<ChunkedUploadOptions>> = [
  {},
  { maxBytes: 0 },
  { maxBytes: null },
  { maxBytes: () => 5 },
  { maxStored: 0 },
  { maxStored: null },
  { maxStored: () => 5 },
  { maxOpenUploads: 0 },
  { expirationDelta: null },
  { expirationDelta: '1.5h' },
  { expirationDelta: '100w' },
  { sweepInterval: false },
  { sweepInterval: '24d' },
  { stallTimeout: 0 },
  { minRate: 0, maxBodyTime: 0 },
  { minRate: 100, maxBodyTime: '1h' },
  { bodyMemory: 1 },
  { lockTimeout: '0s' },
  { checksum: false },
  { checksum: 'blake3' },
  { fieldName: 'data' },
  { fieldName: ['a', 'b'] },
  { allowedTypes: [] },
  { allowedTypes: ['image/*', '*/*', 'application/vnd.api+json', 'Image/PNG'] },
  { downloads: true },
  { downloads: {} },
  { downloads: { inline: ['image/*'] } },
  { routeOptions: { config: {}, preHandler: [] } },
  { routeOptions: () => undefined },
  { protocols: [tiny({ name: 'a' }), tiny({ name: 'b' })] },
  { storage: memoryStorage(), metadata: memoryMetadata(), locks: memoryLocks() },
  { path: 'x/%Y', completeExt: '.ok', incompleteExt: '.tmp', durability: 'disk', directory: 'd' }
]
for (const options of right) {
  const title = JSON.stringify(options, (_key, value) => typeof value === 'function' ? 'function' : value).slice(0, 90)
  t.test(`options ${title} are fine`, async t => {
    checkOptions(options)
    t.pass()
  })
}

t.test('undefined stands for the default of every option', async t => {
  checkOptions(Object.fromEntries(wrong.map(([name]) => [name, undefined])))
  t.pass()
})

t.test('options of the default storage are refused beside another storage', async t => {
  for (const name of ['path', 'completeExt', 'incompleteExt'] as const) {
    t.throws(() => { checkOptions({ storage: memoryStorage(), [name]: '.x' }) }, { message: `"${name}" belongs to the default storage` })
  }
})

t.test('durations are milliseconds or have a unit', async t => {
  const cases = [
    [5, 5], ['5ms', 5], ['90s', 90_000], ['15m', 900_000], ['12h', 43_200_000], ['1d', 86_400_000], ['1w', 604_800_000], ['0.5s', 500],
    [1.4, 1]
  ] as const
  for (const [given, ms] of cases) t.equal(milliseconds('x', given), ms, String(given))
})

t.test('what a function of route options returns is checked as well', async t => {
  const route = { protocol: 'tiny', name: 'create', method: 'POST', url: '/' }
  t.strictSame(routeOptionsOf({}, route), {})
  t.strictSame(routeOptionsOf({ routeOptions: () => undefined }, route), {})
  t.strictSame(routeOptionsOf({ routeOptions: ({ name }) => ({ schema: { tags: [name] } }) }, route), { schema: { tags: ['create'] } })
  for (const returned of [{ handler () {} }, () => ({}), 5, null]) {
    const options: ChunkedUploadOptions = Object.fromEntries([['routeOptions', () => returned]])
    if (returned === null) t.strictSame(routeOptionsOf(options, route), {})
    else t.throws(() => routeOptionsOf(options, route), { message: 'option "routeOptions"' })
  }
})
