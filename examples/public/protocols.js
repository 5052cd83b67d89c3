import { ChunkTasks } from './protocols/chunk-tasks.js'
import { ContentRange } from './protocols/content-range.js'
import { FormAppend } from './protocols/form-append.js'
import { RawAppend } from './protocols/raw-append.js'
import { ResumableHttp } from './protocols/resumable-http.js'
import { Tus } from './protocols/tus.js'

/** What the page can speak; the first one is the default. `name` is the server's, too. */
export const protocols = [{
  name: 'contentRange',
  title: 'Content-Range',
  about: 'PUT with Content-Range for each chunk. At the end the page sends the MD5, and the server compares.',
  client: new ContentRange('/uploads/')
}, {
  name: 'tus',
  title: 'tus 1.0.0',
  about: 'The widespread open protocol: POST, PATCH and HEAD. The server always tells where to go on.',
  client: new Tus('/tus/')
}, {
  name: 'resumableHttp',
  title: 'Resumable Uploads for HTTP',
  about: 'The draft of the IETF: an ordinary POST that can be resumed with HEAD and PATCH.',
  client: new ResumableHttp('/resumable/')
}, {
  name: 'chunkTasks',
  title: 'Chunk tasks',
  about: 'Numbered chunks over four connections, in any order. A file that the server knows by its MD5 is not sent at all.',
  client: new ChunkTasks('/api/files/upload/')
}, {
  name: 'formAppend',
  title: 'Form append',
  about: 'Multipart forms, one after the other. It has no question for where to go on: the page sends an empty chunk and reads the ' +
    'offset off the answer. There is no cancelling either: what is cancelled here expires on the server after a day.',
  client: new FormAppend('/api/')
}, {
  name: 'rawAppend',
  title: 'Raw append',
  about: 'Raw bytes behind the bytes of a numbered video, without name, checksum or end. It has no offsets: the page goes on where ' +
    'the video ends now. What is cancelled stays in the list below until you delete it.',
  client: new RawAppend('/')
}]
