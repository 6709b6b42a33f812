function net = lesion_fcn(varargin)
% LESION_FCN  The network of Qi et al. 2017 on VGG-16, in matconvnet-fcn's style

opts.modelPath = 'data/models/imagenet-vgg-verydeep-16.mat' ;
opts.fcWidth = 4096 ;
opts = vl_argparse(opts, varargin) ;
wide = opts.fcWidth ;

% VGG-16 becomes a DagNN
vgg = vl_simplenn_tidy(load(opts.modelPath)) ;
net = dagnn.DagNN.fromSimpleNN(vgg, 'canonicalNames', true) ;

% fc6 and fc7 start anew, each with dropout; fc8 and the softmax go, where the file has them
for name = {'fc6', 'relu6', 'fc7', 'relu7', 'fc8', 'prob'}
  if ~isnan(net.getLayerIndex(char(name)))
    net.removeLayer(char(name)) ;
  end
end
c = channels(net, 'x31') ;
net.addLayer('fc6', dagnn.Conv('size', [7 7 c wide], 'pad', 3), 'x31', 'fc6', {'fc6f', 'fc6b'}) ;
setFilters(net, {'fc6f', 'fc6b'}, he([7 7 c wide]), wide, 1) ;
net.addLayer('relu6', dagnn.ReLU(), 'fc6', 'relu6', {}) ;
net.addLayer('dropout1', dagnn.DropOut('rate', 0.5), 'relu6', 'dropout1', {}) ;
net.addLayer('fc7', dagnn.Conv('size', [1 1 wide wide]), 'dropout1', 'fc7', {'fc7f', 'fc7b'}) ;
setFilters(net, {'fc7f', 'fc7b'}, he([1 1 wide wide]), wide, 1) ;
net.addLayer('relu7', dagnn.ReLU(), 'fc7', 'relu7', {}) ;
net.addLayer('dropout2', dagnn.DropOut('rate', 0.5), 'relu7', 'dropout2', {}) ;

% a score map on each of the five pools and on fc7, each enlarged to the image's size
sources = {'x5', 'x10', 'x17', 'x24', 'x31', 'dropout2'} ;
factors = [2 4 8 16 32 32] ;
rates = [1e-3 1e-4 1e-4 1e-3 1 min(1, 512 / wide)] ;
for k = 1:6
  s = factors(k) ;
  c = channels(net, sources{k}) ;
  score = sprintf('score%d', k) ;
  names = {[score 'f'], [score 'b']} ;
  net.addLayer(score, dagnn.Conv('size', [1 1 c 2]), sources{k}, score, names) ;
  setFilters(net, names, zeros([1 1 c 2], 'single'), 2, rates(k)) ;
  up = sprintf('up%d', k) ;
  names = {[up 'f'], [up 'b']} ;
  deconv = dagnn.ConvTranspose('size', [2*s 2*s 2 2], 'upsample', s, 'crop', s / 2) ;
  net.addLayer(up, deconv, score, up, names) ;
  setFilters(net, names, bilinear_u(2*s, 1, 2), 2, 1) ;
end

% the six maps side by side, fused by a convolution; loss and accuracy as in matconvnet-fcn
net.addLayer('fuse', dagnn.Concat('dim', 3), {'up1', 'up2', 'up3', 'up4', 'up5', 'up6'}, 'fuse', {}) ;
predict = dagnn.Conv('size', [1 1 12 2]) ;
net.addLayer('predict', predict, 'fuse', 'prediction', {'predictf', 'predictb'}) ;
setFilters(net, {'predictf', 'predictb'}, he([1 1 12 2]), 2, 1) ;
objective = SegmentationLoss('loss', 'softmaxlog') ;
net.addLayer('objective', objective, {'prediction', 'label'}, 'objective', {}) ;
net.addLayer('accuracy', SegmentationAccuracy(), {'prediction', 'label'}, 'accuracy', {}) ;
net.vars(net.getVarIndex('prediction')).precious = true ;
net.meta.classes = struct('name', {{'skin', 'lesion'}}, 'description', {{'skin', 'lesion'}}) ;

% biases learn twice as fast as their filters
for i = 1:numel(net.layers)
  p = net.getParamIndex(net.layers(i).params) ;
  if numel(p) == 2
    net.params(p(2)).learningRate = 2 * net.params(p(1)).learningRate ;
  end
end
end

function c = channels(net, var)
% how many channels a variable has
sizes = net.getVarSizes({'input', [384 384 3 1]}) ;
c = sizes{net.getVarIndex(var)}(3) ;
end

function setFilters(net, names, filters, count, rate)
% the first values of a layer's filters and biases, and how fast the filters learn
p = net.getParamIndex(names) ;
net.params(p(1)).value = filters ;
net.params(p(1)).learningRate = rate ;
net.params(p(2)).value = zeros([count 1], 'single') ;
end

function f = he(size)
% He's deviation: activations keep their size through a ReLU
f = randn(size, 'single') * sqrt(2 / prod(size(1:3))) ;
end
