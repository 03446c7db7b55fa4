// A `ws` echo server as a process of its own; prints its port.

import { WebSocketServer } from 'ws';

const server = new WebSocketServer({ host: '127.0.0.1', port: 0 }, () => console.log(server.address().port));
server.on('connection', socket => socket.on('message', (data, binary) => socket.send(data, { binary })));
