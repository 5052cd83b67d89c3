import t from 'tap'
import { chunkTasks, formAppend } from '../../../src/index.js'
import { TEN, serve, raw } from '../../support/content-range.js'
import { form, type FormPart, type Message, startServer } from '../../support/server.js'

/** Names are read from a first chunk. */
function named (parts: readonly FormPart[]): Message {
  const { headers, body } = form(parts)
  return { headers: { ...headers, 'content-range': 'bytes 0-9/10' }, body }
}

const part = (filename: string | null, disposition?: string): FormPart =>
  ({ name: 'file', filename, content: TEN, ...disposition !== undefined && { disposition } })

t.test('names of forms come as their client meant them, and become no path', async t => {
  const server = await serve(t)
  const cases: ReadonlyArray<readonly [name: string, parts: readonly FormPart[], filename: string]> = [
    ['ASCII', [part('film.mp4')], 'film.mp4'],
    ['UTF-8 in quotes, as browsers send it', [part('grüße 日本語 🎬.mp4')], 'grüße 日本語 🎬.mp4'],
    ['filename*', [part(null, "; filename*=UTF-8''gr%C3%BC%C3%9Fe.mp4")], 'grüße.mp4'],
    ['filename* before filename', [part(null, "; filename*=utf-8''gr%C3%BC%C3%9Fe.mp4; filename=x")], 'grüße.mp4'],
    ['filename* after filename, as HttpClient of .NET sends it', [part('x', "; filename*=UTF-8''gr%C3%BC%C3%9Fe.mp4")], 'grüße.mp4'],
    ['filename before filename* in a strange case', [part('x', "; FileName*=ISO-8859-1''gr%FC%DFe.mp4")], 'grüße.mp4'],
    ['filename* with folders, quotes and a line break', [part('x', "; filename*=UTF-8''..%2F..%2Fa%22%0D%0Ab.mp4")], 'a"b.mp4'],
    ['filename* that cannot be read', [part('film.mp4', "; filename*=koi8-r''%C1")], 'film.mp4'],
    ['filename* that cannot be read, first', [part(null, "; filename*=UTF-8''%E0%A4%A; filename=\"film.mp4\"")], 'film.mp4'],
    ['filename* within a name', [part("a; filename*=UTF-8''b")], "a; filename*=UTF-8''b"],
    ['a quote as browsers escape it', [part('a%22b.mp4')], 'a%22b.mp4'],
    ['a backslash before a quote', [part('a\\"b.mp4')], 'a"b.mp4'],
    ['folders', [part('../../etc/passwd')], 'passwd'],
    ['folders of Windows', [part('C:\\temp\\a.txt')], 'a.txt'],
    ['an absolute path', [part('/etc/passwd')], 'passwd'],
    ['only dots', [part('..')], 'upload'],
    ['a folder', [part('a/')], 'upload'],
    ['no name', [part(null)], 'upload'],
    ['control characters', [part('a\u0007b\u007f.txt')], 'ab.txt'],
    ['a zero byte in the field', [part('a'), { name: 'filename', content: 'a\0b.txt' }], 'ab.txt'],
    ['folders in the field', [part('a'), { name: 'filename', content: '../../b.txt' }], 'b.txt'],
    ['a name that objects have', [part('__proto__')], '__proto__'],
    ['markup', [part('<img src=x onerror=alert(1)>.txt')], '<img src=x onerror=alert(1)>.txt'],
    ['255 characters', [part('ü'.repeat(255))], 'ü'.repeat(255)],
    ['blanks around it', [part('a'), { name: 'filename', content: '  b.txt ' }], 'b.txt']
  ]
  for (const [name, parts, filename] of cases) {
    const answer = await server.send('PUT', '/uploads/', named(parts))
    t.equal(answer.status, 200, name)
    t.match(answer.json, { filename, offset: 10 }, name)
  }
})

t.test('names of raw bodies are those of Content-Disposition', async t => {
  const server = await serve(t)
  const cases: ReadonlyArray<readonly [disposition: string | undefined, filename: string]> = [
    ['attachment; filename="film.mp4"', 'film.mp4'],
    ["attachment; filename=\"x\"; filename*=utf-8'de'gr%C3%BC%C3%9Fe.mp4", 'grüße.mp4'],
    ['attachment; filename="gr%C3%BC%C3%9Fe.mp4"', 'grüße.mp4'],
    ['attachment; filename="..%2F..%2Fetc%2Fpasswd"', 'passwd'],
    ['attachment; filename="%00.%01"', 'upload'],
    ['attachment', 'upload'],
    [undefined, 'upload']
  ]
  for (const [disposition, filename] of cases) {
    const headers = { 'content-range': 'bytes 0-9/10', ...disposition !== undefined && { 'content-disposition': disposition } }
    const answer = await server.send('PUT', '/uploads/', raw('video/mp4', TEN, headers))
    t.equal(answer.status, 200)
    t.match(answer.json, { filename })
  }
})

t.test('every protocol with forms takes filename* for the name', async t => {
  const server = await startServer(t, { protocols: [formAppend({ prefix: '/form' }), chunkTasks({ prefix: '/tasks' })] })
  const names = ["; filename*=UTF-8''gr%C3%BC%C3%9Fe.mp4", '; filename="x"']
  for (const order of [names, names.toReversed()]) {
    const message = form([part(null, order.join(''))])
    t.match((await server.send('POST', '/uploads/form/upload/', message)).json, { filename: 'grüße.mp4' })
    t.match((await server.send('POST', '/uploads/tasks/direct', message)).json, { name: 'grüße.mp4' })
  }
})
