import { existsSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import t from 'tap'
import { checkDirectory, makeFolders } from '../src/folders.js'
import { withDiskFaults } from '../src/testing/storage/disk-faults.js'

t.test('folders are made from the topmost one that is missing, which is told', async t => {
  const directory = t.testdir()
  t.equal(await makeFolders(path.join(directory, 'a/b/c')), path.join(directory, 'a'))
  t.equal(await makeFolders(path.join(directory, 'a/b/d')), path.join(directory, 'a/b/d'))
  t.equal(await makeFolders(path.join(directory, 'a/b/c')), undefined)
  t.ok(existsSync(path.join(directory, 'a/b/c')))
})

t.test('many make the same folders at once', async t => {
  const directory = t.testdir()
  const made = await Promise.all(Array.from({ length: 20 }, async () => await makeFolders(path.join(directory, 'a/b/c/d'))))
  t.equal(made.filter(topmost => topmost === path.join(directory, 'a')).length, 1)
})

t.test('what keeps a folder from being made is told as the system says it', async t => {
  const directory = t.testdir({ file: 'x' })
  await t.rejects(makeFolders(path.join(directory, 'file')), { code: 'ENOTDIR' })
  await t.rejects(makeFolders(path.join(directory, 'file/a/b')), { code: 'ENOTDIR' })
  await t.rejects(makeFolders(path.join(directory, 'x'.repeat(300), 'a')), { code: 'ENAMETOOLONG' })
  const fail = ({ name }: { readonly name: string }): string | undefined => name === 'mkdir' ? 'ENOSPC' : undefined
  await t.rejects(withDiskFaults({ fail }, () => makeFolders(path.join(directory, 'a/b'))), { code: 'ENOSPC' })
  if (existsSync('/proc/self')) await t.rejects(makeFolders('/proc/nope/a/b'), { code: 'ENOENT' })
})

t.test('a directory that can never be used is refused with what to do, one that is missing is made', async t => {
  const directory = t.testdir({ file: 'x' })
  symlinkSync('circle', path.join(directory, 'circle'))
  const refused: ReadonlyArray<readonly [directory: string, reason: RegExp]> = [
    [path.join(directory, 'file'), /a file is in the way; name another directory/],
    [path.join(directory, 'file/below'), /a file is in the way; name another directory/],
    [path.join(directory, 'circle/below'), /in a circle/],
    [path.join(directory, 'x'.repeat(256)), /too long/],
    ...existsSync('/proc/self') ? [['/proc/nope', /no folder can be made there; name another directory/] as const] : []
  ]
  for (const [wrong, reason] of refused) {
    await t.rejects(checkDirectory(wrong), { code: 'FST_CHUNKED_UPLOAD_DIRECTORY', message: reason }, wrong)
  }
  await checkDirectory(path.join(directory, 'new/one'))
  t.ok(existsSync(path.join(directory, 'new/one')))
})

t.test('trouble that may pass is no reason to refuse a directory', async t => {
  const directory = t.testdir()
  for (const code of ['ENOSPC', 'EDQUOT', 'EMFILE', 'EIO']) {
    await withDiskFaults({ fail: ({ name }) => name === 'mkdir' ? code : undefined }, () => checkDirectory(path.join(directory, 'new')))
  }
})

t.test('a directory without the right to write is refused', async t => {
  const directory = t.testdir()
  mkdirSync(path.join(directory, 'closed'), { mode: 0o555 })
  // Root may write everywhere: then the system's answer is made up.
  if (process.getuid?.() === 0) {
    const fail = ({ name }: { readonly name: string }): string | undefined => name === 'mkdir' ? 'EACCES' : undefined
    await t.rejects(withDiskFaults({ fail }, () => checkDirectory(path.join(directory, 'closed/new'))), { message: /may not write there/ })
  } else {
    await t.rejects(checkDirectory(path.join(directory, 'closed')), { message: /may not write there/ })
    await t.rejects(checkDirectory(path.join(directory, 'closed/new')), { message: /may not write there/ })
  }
  writeFileSync(path.join(directory, 'still-usable'), 'x')
  await checkDirectory(directory)
})
