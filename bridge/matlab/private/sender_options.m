function options = sender_options(options)
%SENDER_OPTIONS  Add the options that every sender has.
options.transport = 'tcp';
options.address = '';  % '' = the daemon's default
options.keys = '';     % folder from `rtrecon keys`
end
