function net = old_net(width)
% OLD_NET  A network whose authors had a function, and a layer, of their own

net = dagnn.DagNN() ;
net.addLayer('conv1', dagnn.Conv('size', [3 3 3 width], 'pad', 1), 'input', 'x1', {'conv1f', 'conv1b'}) ;
net.addLayer('bright1', Brighten('byFactor', 1.5), 'x1', 'x2') ;
net.addLayer('conv2', dagnn.Conv('size', [1 1 width 2]), 'x2', 'prediction', {'conv2f', 'conv2b'}) ;
net.initParams() ;
net.params(1).value = our_start(net.params(1).value) ;
