function zmq_close(connection)
%ZMQ_CLOSE  Close socket and thread; queued messages get the linger time.
connection.context.close();
end
