// Answers each message with itself, after its own name: `chat: hello`.

import { WebSocketServer } from 'ws';

const port = Number(process.env.PORT ?? 8080);
const server = new WebSocketServer({
  port,
  handleProtocols: offered => (offered.has('chat.v2') ? 'chat.v2' : false),
});

server.on('listening', () => console.log(`chat: listening on ${port}`));
server.on('connection', (socket, request) => {
  console.log(`chat: ${request.headers['x-forwarded-for']} came to ${request.url}`);
  socket.on('message', (data, binary) => socket.send(binary ? data : `chat: ${data}`));
  socket.on('error', error => console.log(`chat: ${error.message}`));
});

process.on('SIGTERM', () => {
  for (const socket of server.clients) socket.close(1001);
  server.close(() => process.exit(0));
});
